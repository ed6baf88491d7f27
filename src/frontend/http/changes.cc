// SPDX-License-Identifier: Apache-2.0
// Changes of the cluster and repair over HTTP: what runs and what waits, and the requests for them.
// A change is answered when the cluster has agreed on it; the data moves afterwards, and its task
// tells of that. Repair is of the node that is asked.
#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string>
#include <utility>

#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/flat_json.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_request.h"
#include "frontend/http/internal/replies.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::ChangeRequest;
using coordinator::ChangeVerb;
using coordinator::RepairRequest;

constexpr size_t kNodeNameBytesMax = 256;
// As of the setting node.weight.
constexpr double kWeightMin = 0.01;
constexpr double kWeightMax = 100;

// The members of a body, all of them known; an empty body has none.
base::Result<std::vector<JsonMember>> ReadMembers(const Request& request,
                                                  std::initializer_list<std::string_view> known) {
  if (request.body.empty()) return std::vector<JsonMember>();
  auto members = ParseFlatJson(request.body);
  if (!members) return members;
  for (const JsonMember& member : *members) {
    const bool is_known = std::find(known.begin(), known.end(), member.name) != known.end();
    if (!is_known) return Bad("unknown member '" + member.name + "'");
  }
  return members;
}

base::Status ReadMember(JsonMember& member, ChangeRequest& change) {
  if (member.name == "node") {
    auto node = TakeText(member);
    if (!node) return base::Fail(node.error());
    change.node = std::move(*node);
    if (change.node.empty() || change.node.size() > kNodeNameBytesMax) {
      return Bad("'node' must have 1 to 256 bytes");
    }
  } else if (member.name == "weight") {
    const auto weight = TakeNumber(member);
    if (!weight) return base::Fail(weight.error());
    if (*weight < kWeightMin || *weight > kWeightMax) return Bad("'weight' must be 0.01 to 100");
    change.weight = *weight;
  } else {
    const auto staged = TakeBool(member);
    if (!staged) return base::Fail(staged.error());
    change.staged = *staged;
  }
  return {};
}

base::Result<ChangeRequest> ReadChange(const Request& request, ChangeVerb verb) {
  const bool weighs = verb == ChangeVerb::kReweight;
  auto members = weighs ? ReadMembers(request, {"node", "weight", "staged"})
                        : ReadMembers(request, {"node", "staged"});
  if (!members) return base::Fail(std::move(members.error()));
  ChangeRequest change;
  change.verb = verb;
  for (JsonMember& member : *members) {
    if (auto read = ReadMember(member, change); !read) return base::Fail(std::move(read.error()));
  }
  if (change.node.empty()) return Bad("'node' is missing: the name or the id of a node");
  if (weighs && change.weight == 0) return Bad("'weight' is missing: a number from 0.01 to 100");
  return change;
}

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
  auto members = ReadMembers(request, {"bucket", "range"});
  if (!members) return base::Fail(std::move(members.error()));
  for (JsonMember& member : *members) {
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

// 202 and the ticket if it was taken.
coordinator::TicketDone AnswerTicket(Exchange exchange) {
  return [exchange = std::move(exchange)](base::Result<coordinator::ChangeTicket> ticket) mutable {
    if (!ticket) return exchange.Refuse(std::move(ticket.error()));
    AnswerReply(exchange, 202, *ticket);
  };
}

void PostChange(Request& request, Exchange exchange, ChangeVerb verb) {
  if (RefuseQuery(request, exchange)) return;
  auto change = ReadChange(request, verb);
  if (!change) return exchange.Refuse(std::move(change.error()));
  change->caller = exchange.caller();
  Shared& shared = exchange.shared();
  shared.admin.RequestChange(std::move(*change), AnswerTicket(std::move(exchange)));
}

// 200 and {"`done`": `value`} if it went well.
coordinator::StatusDone AnswerDone(Exchange exchange, std::string_view done, bool value = true) {
  return [exchange = std::move(exchange), done, value](base::Status status) mutable {
    if (!status) return exchange.Refuse(std::move(status.error()));
    AnswerJson(exchange, 200,
               [&](JsonWriter& json) { json.BeginObject().Key(done).Bool(value).EndObject(); });
  };
}

}  // namespace

void GetClusterStatus(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  AnswerReply(exchange, 200, exchange.shared().admin.Status());
}

void GetPlan(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  AnswerReply(exchange, 200, exchange.shared().admin.Plan());
}

void ListTasks(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  AnswerReply(exchange, 200, coordinator::TaskList{exchange.shared().admin.Tasks()});
}

void GetTask(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto number = ParseCount(*request.task_segment);
  if (!number) return exchange.Refuse(BadRequest("a task is a whole number"));
  for (const coordinator::TaskStatus& task : exchange.shared().admin.Tasks()) {
    if (task.task == static_cast<uint64_t>(*number)) return AnswerReply(exchange, 200, task);
  }
  exchange.Refuse({Code::kNotFound, "no such task; only the last ones are remembered"});
}

void Decommission(Request& request, Exchange exchange) {
  PostChange(request, std::move(exchange), ChangeVerb::kDecommission);
}

void Remove(Request& request, Exchange exchange) {
  PostChange(request, std::move(exchange), ChangeVerb::kRemove);
}

void Reweight(Request& request, Exchange exchange) {
  PostChange(request, std::move(exchange), ChangeVerb::kReweight);
}

void CommitChanges(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {});
  if (!members) return exchange.Refuse(std::move(members.error()));
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.Commit(caller, AnswerDone(std::move(exchange), "committed"));
}

void CancelChange(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {"task"});
  if (!members) return exchange.Refuse(std::move(members.error()));
  uint64_t task = 0;
  if (!members->empty()) {
    const auto number = TakeCount(members->front());
    if (!number) return exchange.Refuse(std::move(number.error()));
    if (*number == 0) return exchange.Refuse(BadRequest("'task' must be 1 or more"));
    task = static_cast<uint64_t>(*number);
  }
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.Cancel(task, caller, AnswerDone(std::move(exchange), "cancelled"));
}

void DeleteBucket(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto bucket = BucketOf(request);
  if (!bucket) return exchange.Refuse(std::move(bucket.error()));
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.DeleteBucket(std::move(*bucket), caller, AnswerTicket(std::move(exchange)));
}

void FinalizeUpgrade(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {});
  if (!members) return exchange.Refuse(std::move(members.error()));
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.FinalizeUpgrade(caller, AnswerDone(std::move(exchange), "finalized"));
}

void Drain(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {"on"});
  if (!members) return exchange.Refuse(std::move(members.error()));
  if (members->empty()) return exchange.Refuse(BadRequest("'on' is missing: true or false"));
  const auto on = TakeBool(members->front());
  if (!on) return exchange.Refuse(std::move(on.error()));
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.Drain(*on, caller, AnswerDone(std::move(exchange), "draining", *on));
}

void GetRepair(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  Shared& shared = exchange.shared();
  shared.admin.GetRepairStatus(
      [exchange = std::move(exchange)](const coordinator::RepairStatus& status) mutable {
        AnswerReply(exchange, 200, status);
      });
}

void PostRepair(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto repair = ReadRepair(request);
  if (!repair) return exchange.Refuse(std::move(repair.error()));
  repair->caller = exchange.caller();
  Shared& shared = exchange.shared();
  shared.admin.Repair(std::move(*repair), AnswerTicket(std::move(exchange)));
}

}  // namespace lariat::frontend::http
