// SPDX-License-Identifier: Apache-2.0
// What is written down of who came in and what they did: a JSON object a line. Only the fields
// below exist, so nothing else can get in: no value, password or token. One for each shard, on its
// thread; the sink is shared and thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/caller.h"
#include "env/env.h"
#include "telemetry/metrics.h"

namespace lariat::access {

// Where lines go. Never waits; thread-safe.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  virtual void Write(std::string line) = 0;
  // How many were dropped since it was asked last, by anybody.
  virtual uint64_t TakeDropped() = 0;
};

struct AuditEvent {
  std::string_view event;    // "login" | "refused" | "would_refuse" | "admin" | "data"
  std::string_view outcome;  // of a login and an administrative act: "ok" or the code of the error
  std::string_view user;     // empty: of the caller
  std::string_view action;   // a grant's action, or an administrative act
  std::string_view bucket;
  std::string_view key;
  std::string_view subject;  // the user, role or node that an administrative act is about
};

class Audit {
 public:
  // `sink`: nullptr, nothing is written.
  Audit(AuditSink* sink, std::string node, const env::Clock& clock, telemetry::Metrics& metrics)
      : sink_(sink), node_(std::move(node)), clock_(clock), metrics_(metrics) {}
  void Write(const AuditEvent& event, const coordinator::Caller& caller);

 private:
  AuditSink* const sink_;
  const std::string node_;
  const env::Clock& clock_;
  telemetry::Metrics& metrics_;
};

}  // namespace lariat::access
