// SPDX-License-Identifier: Apache-2.0
#include "replica/replica.h"

namespace lariat::replica {

Replica::Replica(ReplicaOptions options, storage::Engine& engine, storage::CompletionQueue& queue,
                 Clock& clock, telemetry::Metrics& metrics, telemetry::LogSink& log)
    : env_{engine, queue, metrics},
      incarnation_(options.node, options.incarnation, std::move(options.draw_incarnation), metrics),
      tree_(options.tree, engine, queue, metrics),
      tree_walk_(options.tree_bytes_per_s, tree_, engine, queue, metrics),
      leaf_checks_(tree_, env_),
      riders_(tree_),
      hints_(engine, queue, std::move(options.hints), options.incarnation),
      records_(options.queue_max, env_, riders_, hints_, [this] { incarnation_.GiveUp(); }),
      watch_(metrics, log),
      registers_(records_, clock, incarnation_, options.watch_since, metrics),
      voter_(records_, metrics),
      reader_(records_, registers_, voter_, metrics),
      scanner_(env_, records_),
      merger_(records_, registers_, watch_, voter_, metrics),
      event_maker_({records_, registers_, watch_, incarnation_}, queue, metrics),
      hint_keeper_(records_, hints_, env_),
      mender_(records_) {}

void Replica::WhenSettled(base::UniqueFunction<void()> done) {
  // Co-owned by everything that is waited for: whoever lets go last stages the end.
  struct Barrier {
    PendingWrites& pending;
    base::UniqueFunction<void()> done;
    size_t open = 1;
    void Close() {
      if (--open > 0) return;
      // Behind all that is staged. A refused batch has settled too.
      pending.Stage(
          {}, AckWhen::kWritten, [end = std::move(done)](const base::Status&) mutable { end(); },
          [](const base::Status&) {});
    }
  };
  auto barrier = std::make_shared<Barrier>(Barrier{records_.pending(), std::move(done)});
  // Behind those that wait for their turn or for the disk; each of them stages before it makes way.
  event_maker_.turns().BehindAll([this, &barrier](const std::string& answer_key) -> StatusDone {
    ++barrier->open;
    return [this, barrier, answer_key](const base::Status&) {
      event_maker_.turns().End(answer_key);
      barrier->Close();
    };
  });
  records_.BehindLoads([&barrier]() -> Records::Loaded {
    ++barrier->open;
    return [barrier](const Looked&) { barrier->Close(); };
  });
  barrier->Close();
}

void Replica::Tick(base::Instant now) {
  records_.Tick();
  hints_.Tick();
  tree_.Tick();
  tree_walk_.Tick(now);
}

}  // namespace lariat::replica
