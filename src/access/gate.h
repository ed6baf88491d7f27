// SPDX-License-Identifier: Apache-2.0
// The one place where it is decided whether somebody may do something: below all protocols, asked
// for every key that a request touches and for every administrative act. Denied unless granted.
//
// One for each shard, on its thread. It asks for the users at each call, so a change is in force as
// soon as the shard works by the document that has it; a connection that was let in before has no
// say in it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/access_service.h"
#include "access/audit.h"
#include "base/result.h"
#include "coordinator/caller.h"
#include "env/env.h"
#include "security/rights.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::access {

class Gate {
 public:
  struct World {
    // The book of the view that the shard works by; nullptr: there is no view.
    std::function<const std::shared_ptr<const std::string>*()> book;
    Audit& audit;
    const env::Clock& clock;
    telemetry::Metrics& metrics;
    telemetry::LogSink& log;
  };
  struct Rules {
    Mode mode = Mode::kOff;
    bool audit_data = false;
  };
  Gate(Rules rules, World world) : rules_(rules), world_(std::move(world)) {}

  Mode mode() const { return rules_.mode; }
  // kUnauthenticated, kForbidden; in permissive mode never. kAdmin has an empty key, and the bucket
  // kAllBuckets for what is about no bucket.
  base::Status Authorize(const coordinator::Caller& caller, security::Action action,
                         std::string_view bucket, std::string_view key);
  // The same as a question that nobody has to hear of: for what a reply may show beside the answer.
  bool Allows(const coordinator::Caller& caller, security::Action action, std::string_view bucket,
              std::string_view key);
  // Every key in [start, end); an empty end is no end. For what lists keys that nobody named.
  base::Status AuthorizeRange(const coordinator::Caller& caller, security::Action action,
                              std::string_view bucket, std::string_view start,
                              std::string_view end);
  base::Status AuthorizeAnythingIn(const coordinator::Caller& caller, std::string_view bucket);
  base::Status AuthorizeUser(const coordinator::Caller& caller);
  // 'admin' on all buckets, in permissive mode too: who may change users is never left open.
  base::Status AuthorizeUsers(const coordinator::Caller& caller);

  // What the shard works by now; nullptr: no users are known.
  const std::shared_ptr<const security::Rights>& rights();
  // In permissive mode somebody came with a password or token that is wrong.
  void NoteWrong(const coordinator::Caller& caller, const base::Error& why);
  Audit& audit() { return world_.audit; }

 private:
  struct Question {
    security::Action action;
    std::string_view bucket, key;
    bool strict = false;
  };
  const security::Rights::OfUser* Find(const coordinator::Caller& caller);
  base::Status Refuse(const coordinator::Caller& caller, bool known, const Question& asked);
  void SayWouldRefuse(const coordinator::Caller& caller, const std::string& why);

  const Rules rules_;
  World world_;
  std::shared_ptr<const std::string> seen_;  // what rights_ was made from
  std::shared_ptr<const security::Rights> rights_;
  std::optional<base::Instant> said_at_;
  uint64_t unsaid_ = 0;
};

}  // namespace lariat::access
