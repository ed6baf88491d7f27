// SPDX-License-Identifier: Apache-2.0
// What the parts of one coordinator share: the world outside, the settings, the topology of the
// moment, and the line of those that wait for another one.
//
// Threads: the shard's. The parts keep a reference to it and are destroyed before it; operations
// that callbacks hold alive may be left over, and look at `home` before they touch a part.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/settings.h"
#include "coordinator/deadlines.h"
#include "coordinator/plan.h"
#include "coordinator/ports.h"
#include "env/env.h"
#include "telemetry/metrics.h"

namespace lariat::coordinator {

class OpContext {
 public:
  // All references outlive it.
  OpContext(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
            ClusterPort& cluster, telemetry::Metrics& metrics);
  OpContext(const OpContext&) = delete;
  OpContext& operator=(const OpContext&) = delete;

  env::Clock& clock() const { return env_.clock; }
  env::Entropy& entropy() const { return env_.entropy; }
  const config::Settings& settings() const { return settings_; }
  void ApplySettings(const config::Settings& settings) { settings_ = settings; }
  ReplicaPort& replicas() const { return replicas_; }
  ClusterPort& cluster() const { return cluster_; }
  telemetry::Metrics& metrics() const { return metrics_; }

  // Null until the cluster is formed.
  const std::shared_ptr<const membership::View>& view() const { return view_; }
  // What waits for another topology goes on at the next tick.
  void SetView(std::shared_ptr<const membership::View> view);
  void Tick(base::Instant now);

  // Expired: the coordinator is gone, or about to go (Close).
  std::weak_ptr<bool> home() const { return alive_; }
  void Close() { alive_.reset(); }

  // Where the key lies by the present view. kInvalidArgument and kTooLarge for what can be no key
  // or name, kNotFound for a bucket that does not exist, kUnavailable before there is a cluster.
  base::Result<Target> Locate(const std::string& bucket, const std::string& key) const;
  base::Status CheckBucket(const std::string& name) const;

  // --- when a replica refuses a request as stale (kStaleEpoch) ---
  // The present view, if its fence is greater than that of the one planned by: plan again with it.
  std::shared_ptr<const membership::View> NewerThan(const membership::View& planned) const;
  // The refused node may be behind, or ahead of us without our knowing how: has the documents
  // exchanged and calls `again` once this shard has a new view, or after a while that grows with
  // `attempt`, but not after `latest`. Nobody is called once the coordinator is gone.
  void WaitFor(const std::shared_ptr<const membership::View>& planned, ring::NodeIndex node,
               uint32_t attempt, std::function<void()> again,
               base::Instant latest = base::Instant::max());

 private:
  env::Env env_;
  config::Settings settings_;
  ReplicaPort& replicas_;
  ClusterPort& cluster_;
  telemetry::Metrics& metrics_;
  std::shared_ptr<const membership::View> view_;  // co-owned by the shards and by operations
  bool view_is_new_ = false;
  // What waits for a new view or for its time to be tried again.
  Deadlines<std::function<void()>> waiting_;
  std::shared_ptr<bool> alive_;  // only watched by others
};

}  // namespace lariat::coordinator
