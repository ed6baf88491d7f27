// SPDX-License-Identifier: Apache-2.0
// Dials this node through an address that it tells others, as they would, and says in the log when
// that does not lead here: another node would hold this one for dead, and nothing else would show
// why. Goes on until it does: names are often known only some time after the start. On the thread
// of its loop.
#pragma once

#include <memory>
#include <string>

#include "env/env.h"
#include "env/stream.h"
#include "telemetry/log.h"
#include "wire/messages.h"

namespace lariat::lariatd {

class SelfCheck {
 public:
  enum class Kind : uint8_t { kHttp, kPeer };
  struct Target {
    Kind kind;
    std::string address;
    wire::Hello self;
  };
  SelfCheck(env::Env env, env::Network& network, Target target, telemetry::LogSink& log);
  void Start();

 private:
  class Dial;
  void Try();
  void OnEnd(std::string trouble);  // empty: it led here
  std::string Setting() const;

  env::Env env_;
  env::Network& network_;
  const Target target_;
  telemetry::LogSink& log_;
  std::string said_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // co-owned by dials under way
};

}  // namespace lariat::lariatd
