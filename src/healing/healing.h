// SPDX-License-Identifier: Apache-2.0
// How this node's replicas heal: hints for members that missed a write, comparison of hash trees
// with other replicas, the stability sweep, the scrub. Hands messages, views and settings on to
// those parts. Lives on shard 0 and is called on its thread only, except where said.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/admin_service.h"
#include "healing/anti_entropy.h"
#include "healing/deleted_buckets.h"
#include "healing/doubts.h"
#include "healing/handoff.h"
#include "healing/scrubber.h"
#include "healing/shards.h"
#include "healing/sweeper.h"
#include "peers/home.h"
#include "replica/dirty_marks.h"

namespace lariat::healing {

class Healing {
 public:
  struct Ports {
    // Why this node may hold old records of ranges that are not its own; empty: it does not.
    std::function<std::string()> unclean;
    Handoff::Reconcile reconcile;
    Sweeper::PastPorts past;
  };
  Healing(Shards& shards, peers::Home& home, storage::Engine& engine, telemetry::LogSink& log,
          Ports ports);
  ~Healing();

  void Start();
  // A view by which every shard of this node works, and before which nothing is unsettled.
  void OnView(std::shared_ptr<const membership::View> view);
  // The node is out of the cluster.
  void Stop();
  void ApplySettings(const config::Settings& settings);
  // The members that count as unusable have changed.
  void OnLiveness();
  // Hints were dropped there.
  void MarkDirty(std::vector<replica::DirtyMark> marks);

  // Whether this node may have lost records.
  bool InDoubt() const { return doubts_.InDoubt(); }
  void RaiseDoubt(const std::string& why, base::UniqueFunction<void(base::Status)> done) {
    doubts_.Raise(why, std::move(done));
  }

  using BodyDone = base::UniqueFunction<void(wire::Body)>;
  // Whether the body is one of repair_messages.h. Requests are refused (kStaleEpoch) unless
  // `fence` is that of the view.
  static bool Takes(const wire::Body& request);
  void Serve(uint64_t fence, wire::Body request, BodyDone done);

  void Repair(coordinator::RepairRequest request, coordinator::TicketDone done);
  void Status(coordinator::AdminService::RepairStatusDone done);
  // Repairs that were asked for, newest first. Thread-safe.
  std::shared_ptr<const std::vector<coordinator::TaskStatus>> TasksSeen() const {
    return anti_entropy_.TasksSeen();
  }
  // What is thread-safe of it.
  const DeletedBuckets& deleted() const { return deleted_; }
  void WhyKept(KeptQuestion question, Sweeper::TextDone done) {
    sweeper_.WhyKept(std::move(question), std::move(done));
  }

 private:
  Sweeper::Ports SweeperPorts();
  AntiEntropy::Ports AntiEntropyPorts();

  Shards& shards_;
  peers::Home& home_;
  telemetry::LogSink& log_;
  Ports ports_;
  std::shared_ptr<const membership::View> view_;
  replica::DirtyMarks marks_;
  Handoff handoff_;
  Doubts doubts_;
  AntiEntropy anti_entropy_;
  Sweeper sweeper_;
  Scrubber scrubber_;
  DeletedBuckets deleted_;
};

}  // namespace lariat::healing
