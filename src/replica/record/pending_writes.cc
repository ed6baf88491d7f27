// SPDX-License-Identifier: Apache-2.0
#include "replica/record/pending_writes.h"

#include <algorithm>
#include <utility>

namespace lariat::replica {

using storage::Space;

PendingWrites::PendingWrites(storage::Engine& engine, storage::CompletionQueue& queue,
                             telemetry::Metrics& metrics, Riders& riders,
                             std::function<void()> on_failure)
    : engine_(engine),
      queue_(queue),
      metrics_(metrics),
      riders_(riders),
      on_failure_(std::move(on_failure)) {}

base::Status PendingWrites::CheckRoom(bool is_delete) const {
  if (!is_delete && batch_.bytes >= engine_.batch_bytes_max()) {
    return base::Fail(base::Code::kOverloaded, "the storage engine is behind with what is written");
  }
  if (is_delete || !NearlyFull()) return {};
  return base::Fail(base::Code::kDiskFull,
                    "the disk is nearly full: of all writes only deletes go on");
}

void PendingWrites::Stage(std::vector<Put> puts, AckWhen when, Done applied, Done durable) {
  DropRiders();
  for (Put& put : puts) {
    only_deletes_ = only_deletes_ && (put.is_delete || !put.value);
    Values(put.space)[put.key] = {put.value, batch_number_};
    if (put.value) {
      batch_.Put(put.space, std::move(put.key), std::move(*put.value));
    } else {
      batch_.Remove(put.space, std::move(put.key));
    }
  }
  staged_.push_back({when, std::move(applied), std::move(durable)});
  ScheduleFlush();
}

const std::optional<std::string>* PendingWrites::Find(Space space, const std::string& key) const {
  const auto& values = values_[static_cast<size_t>(space)];
  const auto found = values.find(key);
  return found == values.end() ? nullptr : &found->second.bytes;
}

void PendingWrites::WhenDurable(Space space, const std::string& key, Done done) {
  const auto found = Values(space).find(key);
  if (found == Values(space).end()) {
    queue_.Post([this, alive = lifetime_.GetWatch(), done = std::move(done)]() mutable {
      // What a dead engine still shows may be what its last sync failed to keep.
      const bool dead = alive.expired() || engine_.health() == storage::Health::kDead;
      done(dead ? base::Status(base::Fail(base::Code::kIo, "the storage engine has failed"))
                : base::Status());
    });
    return;
  }
  waiters_[found->second.batch].push_back(std::move(done));
}

void PendingWrites::ScheduleFlush() {
  if (flush_scheduled_ || stalled_) return;
  flush_scheduled_ = true;
  queue_.Post(lifetime_.Guard([this] {
    flush_scheduled_ = false;
    Flush();
  }));
}

void PendingWrites::AddRiders() {
  // A batch that stalls is tried again and again: what did not change is not made anew.
  if (boarded_ && boarded_->version == riders_.Version()) return;
  DropRiders();
  boarded_ = {batch_.operations.size(), batch_.bytes, riders_.Version()};
  riders_.BeforeWrite(&batch_);
}

void PendingWrites::DropRiders() {
  if (!boarded_) return;
  batch_.operations.resize(boarded_->operations);
  batch_.bytes = boarded_->bytes;
  boarded_.reset();
}

void PendingWrites::Flush() {
  if (staged_.empty()) return;
  AddRiders();
  batch_.is_delete = only_deletes_;
  // Whoever is told as soon as it is written may not lose it with the process.
  batch_.sync_follows = std::all_of(staged_.begin(), staged_.end(),
                                    [](const Ack& ack) { return ack.when == AckWhen::kSynced; });
  const base::Status status = engine_.Write(batch_);
  if (!status && status.error().code == base::Code::kStalled) {
    stalled_ = true;  // keeps the batch; Tick tries again
    return;
  }
  stalled_ = false;
  only_deletes_ = true;
  DropRiders();
  riders_.AfterWrite(status.has_value());
  if (!status) {
    FailBatch(status.error());
    return;
  }
  metrics_.write_batches.Add();
  metrics_.batched_writes.Add(batch_.operations.size());
  OnApplied();
}

void PendingWrites::Tick() {
  if (stalled_) Flush();
}

void PendingWrites::OnApplied() {
  auto flight = std::make_shared<InFlight>();  // co-owned by the sync's callback
  flight->batch = batch_number_++;
  for (auto& operation : batch_.operations) {
    flight->keys.emplace_back(operation.space, std::move(operation.key));
  }
  batch_.Clear();
  std::vector<Ack> acks = std::exchange(staged_, {});
  std::vector<Done> written;
  for (Ack& ack : acks) {
    (ack.when == AckWhen::kSynced ? flight->done : written).push_back(std::move(ack.durable));
  }
  acks_in_flight_ += flight->done.size();
  const bool needs_sync = !flight->done.empty();
  if (needs_sync) {
    engine_.Sync(&queue_, lifetime_.Guard([this, flight](const base::Status& status) {
      OnSynced(flight, status);
    }));
  }
  // The callbacks come last: they may stage new writes, which belong to the next batch.
  for (Ack& ack : acks) {
    if (ack.applied) ack.applied({});
  }
  for (Done& done : written) done({});
  if (!needs_sync) OnSynced(flight, {});
}

void PendingWrites::OnSynced(const std::shared_ptr<InFlight>& flight, const base::Status& status) {
  if (!status) on_failure_();
  Forget(*flight);
  acks_in_flight_ -= flight->done.size();
  for (Done& done : flight->done) done(status);
  auto waiting = waiters_.extract(flight->batch);
  if (waiting.empty()) return;
  for (Done& done : waiting.mapped()) done(status);
}

void PendingWrites::Forget(const InFlight& flight) {
  for (const auto& [space, key] : flight.keys) {
    const auto found = Values(space).find(key);
    // A newer batch may have taken the entry over.
    if (found != Values(space).end() && found->second.batch == flight.batch) {
      Values(space).erase(found);
    }
  }
}

void PendingWrites::FailBatch(const base::Error& error) {
  on_failure_();
  InFlight failed;
  failed.batch = batch_number_++;
  for (auto& operation : batch_.operations) {
    failed.keys.emplace_back(operation.space, std::move(operation.key));
  }
  batch_.Clear();
  std::vector<Ack> acks = std::exchange(staged_, {});
  Forget(failed);
  for (Ack& ack : acks) {
    // A caller that learns of the refusal through `applied` has no use for `durable`.
    if (ack.applied) {
      ack.applied(base::Fail(error));
    } else {
      ack.durable(base::Fail(error));
    }
  }
  auto waiting = waiters_.extract(failed.batch);
  if (waiting.empty()) return;
  for (Done& done : waiting.mapped()) done(base::Fail(error));
}

}  // namespace lariat::replica
