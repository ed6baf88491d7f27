// SPDX-License-Identifier: Apache-2.0
// Repair over HTTP: comparing replicas now, and how it stands with ranges, hints, sweep and scrub.
// Both are about the node that is asked.
#include <charconv>
#include <string>
#include <utility>

#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/flat_json.h"
#include "frontend/http/internal/handlers.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::RepairRequest;
using coordinator::RepairStatus;

// --- what is asked for -------------------------------------------------------------------------

// Decimal, or hexadecimal after "0x".
std::optional<uint64_t> ParseToken(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  uint64_t token = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), token, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return token;
}

base::Result<std::pair<uint64_t, uint64_t>> ParseRange(std::string_view text) {
  const size_t dash = text.find('-');
  const auto from = ParseToken(text.substr(0, dash));
  const auto to = dash == text.npos ? std::nullopt : ParseToken(text.substr(dash + 1));
  if (!from || !to) {
    return Bad(
        "'range' must be FROM-TO: two tokens from 0 to 2^64-1, decimal or 0x and hexadecimal");
  }
  return std::pair(*from, *to);
}

base::Result<RepairRequest> ReadRepair(const Request& request) {
  RepairRequest repair;
  if (request.body.empty()) return repair;
  auto members = ParseFlatJson(request.body);
  if (!members) return base::Fail(std::move(members.error()));
  for (JsonMember& member : *members) {
    if (member.name != "bucket" && member.name != "range") {
      return Bad("unknown member '" + member.name + "'");
    }
    auto text = TakeText(member);
    if (!text) return base::Fail(std::move(text.error()));
    if (member.name == "range") {
      const auto range = ParseRange(*text);
      if (!range) return base::Fail(range.error());
      repair.range = *range;
    } else {
      if (text->empty()) return Bad("'bucket' must not be empty");
      repair.bucket = std::move(*text);
    }
  }
  return repair;
}

// --- what is shown -----------------------------------------------------------------------------

// Wall clock; null if there is none.
void WriteTime(JsonWriter& json, int64_t ms) {
  if (ms != 0) {
    json.Int(ms);
  } else {
    json.Null();
  }
}

void WriteRange(JsonWriter& json, const coordinator::RepairRange& range) {
  json.BeginObject().Key("bucket").Text(range.bucket);
  json.Key("from").Text(std::to_string(range.from)).Key("to").Text(std::to_string(range.to));
  json.Key("replicas");
  WriteTexts(json, range.replicas);
  json.Key("last_pass_ms");
  WriteTime(json, range.last_pass_ms);
  json.Key("state").Text(range.state).Key("why").Text(range.why).EndObject();
}

void WriteSession(JsonWriter& json, const std::optional<coordinator::RepairSession>& session) {
  if (!session) {
    json.Null();
    return;
  }
  const coordinator::RepairSession& s = *session;
  json.BeginObject().Key("task");
  if (s.task != 0) {
    json.Uint(s.task);
  } else {
    json.Null();
  }
  json.Key("partner").Text(s.partner).Key("bucket").Text(s.bucket);
  json.Key("fraction").Double(s.fraction).Key("keys_received").Uint(s.keys_received);
  json.Key("keys_sent").Uint(s.keys_sent).Key("bytes_sent").Uint(s.bytes_sent);
  json.Key("started_ms").Int(s.started_ms).Key("left_s");
  if (s.left_s) {
    json.Double(*s.left_s);
  } else {
    json.Null();
  }
  json.EndObject();
}

void WriteHints(JsonWriter& json, const std::vector<coordinator::HintBacklog>& hints) {
  json.BeginArray();
  for (const coordinator::HintBacklog& h : hints) {
    json.BeginObject().Key("target").Text(h.target).Key("hints").Uint(h.hints);
    json.Key("bytes").Uint(h.bytes).Key("oldest_ms");
    WriteTime(json, h.oldest_ms);
    json.Key("bytes_per_s").Double(h.bytes_per_s).Key("state").Text(h.state).EndObject();
  }
  json.EndArray();
}

void WriteSweep(JsonWriter& json, const coordinator::SweepStatus& sweep) {
  json.BeginObject().Key("last_ms");
  WriteTime(json, sweep.last_ms);
  json.Key("tombstones").Uint(sweep.tombstones).Key("purged").Uint(sweep.purged);
  json.Key("folded").Uint(sweep.folded).Key("blocked").BeginObject();
  for (const auto& [reason, count] : sweep.blocked) json.Key(reason).Uint(count);
  json.EndObject().EndObject();
}

void WriteScrub(JsonWriter& json, const coordinator::ScrubStatus& scrub) {
  json.BeginObject().Key("fraction").Double(scrub.fraction).Key("last_ms");
  WriteTime(json, scrub.last_ms);
  json.Key("damaged").Uint(scrub.damaged).Key("refilled").Uint(scrub.refilled);
  json.Key("trouble").Text(scrub.trouble).EndObject();
}

void WriteRepair(JsonWriter& json, const RepairStatus& status) {
  json.BeginObject().Key("enabled").Bool(status.enabled).Key("ranges").BeginArray();
  for (const coordinator::RepairRange& range : status.ranges) WriteRange(json, range);
  json.EndArray().Key("session");
  WriteSession(json, status.session);
  json.Key("hints");
  WriteHints(json, status.hints);
  json.Key("sweep");
  WriteSweep(json, status.sweep);
  json.Key("scrub");
  WriteScrub(json, status.scrub);
  json.EndObject();
}

}  // namespace

void GetRepair(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  Shared& shared = exchange.shared();
  shared.admin.GetRepairStatus([exchange = std::move(exchange)](RepairStatus status) mutable {
    AnswerJson(exchange, 200, [&](JsonWriter& json) { WriteRepair(json, status); });
  });
}

void PostRepair(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto repair = ReadRepair(request);
  if (!repair) return exchange.Refuse(std::move(repair.error()));
  repair->caller = exchange.caller();
  Shared& shared = exchange.shared();
  shared.admin.Repair(
      std::move(*repair),
      [exchange = std::move(exchange)](base::Result<coordinator::ChangeTicket> ticket) mutable {
        if (!ticket) return exchange.Refuse(std::move(ticket.error()));
        AnswerJson(exchange, 202, [&](JsonWriter& json) {
          json.BeginObject().Key("task").Uint(ticket->task).Key("started").Bool(ticket->started);
          json.Key("message").Text(ticket->message).EndObject();
        });
      });
}

}  // namespace lariat::frontend::http
