// SPDX-License-Identifier: Apache-2.0
#include "access/audit.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <iterator>

namespace lariat::access {
namespace {

// Whatever is not plain stands as %XX, so that a line is one line of ASCII and good JSON.
void AppendField(std::string* line, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  fmt::format_to(std::back_inserter(*line), ",\"{}\":\"", name);
  for (const char c : text) {
    const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '%';
    if (plain) {
      *line += c;
    } else {
      fmt::format_to(std::back_inserter(*line), "%{:02X}", static_cast<uint8_t>(c));
    }
  }
  *line += '"';
}

}  // namespace

void Audit::Write(const AuditEvent& event, const coordinator::Caller& caller) {
  if (sink_ == nullptr) return;
  const int64_t ms = clock_.Wall().ms;
  std::string line = fmt::format("{{\"time\":\"{:%Y-%m-%dT%H:%M:%S}.{:03}Z\"",
                                 fmt::gmtime(static_cast<time_t>(ms / 1000)), ms % 1000);
  AppendField(&line, "node", node_);
  AppendField(&line, "event", event.event);
  AppendField(&line, "outcome", event.outcome);
  AppendField(&line, "user", event.user.empty() ? caller.who() : event.user);
  AppendField(&line, "from", caller.from());
  AppendField(&line, "protocol", caller.protocol());
  AppendField(&line, "action", event.action);
  AppendField(&line, "bucket", event.bucket);
  AppendField(&line, "key", event.key);
  AppendField(&line, "subject", event.subject);
  line += "}\n";
  sink_->Write(std::move(line));
  metrics_.audit_lines.Add();
  if (const uint64_t dropped = sink_->TakeDropped(); dropped > 0) {
    metrics_.audit_dropped.Add(dropped);
  }
}

}  // namespace lariat::access
