// SPDX-License-Identifier: Apache-2.0
// What the parts of a node that live on its shard 0 are given of it: the world, the settings as
// they are now, the peers, and the queue that brings completions to the shard's thread. They see
// neither the node nor its shards. Used on shard 0's thread only, except where said.
#pragma once

#include <utility>

#include "config/settings.h"
#include "env/env.h"
#include "peers/peers.h"
#include "storage/engine.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::peers {

class Home {
 public:
  // All outlive this.
  struct Parts {
    const env::Env& env;
    const config::Settings& settings;
    Peers& peers;
    storage::CompletionQueue& queue;
    telemetry::Metrics& metrics;
    telemetry::LogSink& log;
  };
  explicit Home(const Parts& parts) : parts_(parts) {}

  const env::Env& env() const { return parts_.env; }
  const config::Settings& settings() const { return parts_.settings; }
  Peers& peers() const { return parts_.peers; }
  const Self& self() const { return parts_.peers.self(); }
  // What the shard works by; null before there is one.
  const std::shared_ptr<const membership::View>& view() const { return parts_.peers.view(); }
  storage::CompletionQueue& queue() const { return parts_.queue; }
  void Post(base::UniqueFunction<void()> task) const {
    parts_.queue.Post(std::move(task));
  }  // thread-safe
  telemetry::Metrics& metrics() const { return parts_.metrics; }
  telemetry::LogSink& log() const { return parts_.log; }

 private:
  Parts parts_;
};

}  // namespace lariat::peers
