// SPDX-License-Identifier: Apache-2.0
#include "replica/record/records.h"

#include "replica/hint.h"

namespace lariat::replica {

using base::Code;
using base::Fail;
using storage::Space;

Records::Records(size_t queue_max, const ShardEnv& env, Riders& riders, HintStore& hints,
                 std::function<void()> on_failure)
    : queue_max_(queue_max),
      env_(env),
      riders_(riders),
      hints_(hints),
      pending_(env.engine, env.queue, env.metrics, riders, std::move(on_failure)) {}

// --- looking up --------------------------------------------------------------------------------

void Records::With(Space space, std::string key, Loaded use) {
  Looked found;
  if (LookInMemory(space, key, &found)) return use(std::move(found));
  WaitFor(space, std::move(key), std::move(use));
}

bool Records::LookInMemory(Space space, const std::string& key, Looked* found) {
  const Loads& loads = LoadsOf(space);
  return (loads.empty() || !loads.contains(key)) && FindInMemory(space, key, found);
}

void Records::WaitFor(Space space, std::string key, Loaded use) {
  if (!JoinQueue()) return use(Fail(Code::kOverloaded, "too many reads wait for the disk"));
  const auto [line, first] = LoadsOf(space).try_emplace(key);
  line->second.push_back(std::move(use));
  if (!first) return;
  env_.metrics.replica_reads_from_disk.Add();
  StartLoad(space, key);
}

bool Records::FindInMemory(Space space, const std::string& key, Looked* found) {
  if (const std::optional<std::string>* pending = pending_.Find(space, key)) {
    *found = std::optional<std::string>(*pending);
    return true;
  }
  std::string value;
  base::Error error;
  switch (env_.engine.TryGet(space, key, &value, &error)) {
    case storage::Lookup::kFound:
      *found = std::optional<std::string>(std::move(value));
      return true;
    case storage::Lookup::kAbsent:
      *found = std::optional<std::string>();
      return true;
    case storage::Lookup::kError:
      env_.metrics.replica_read_errors.Add();
      *found = Fail(std::move(error));
      return true;
    case storage::Lookup::kNotInMemory:
      return false;
  }
  return false;
}

void Records::StartLoad(Space space, const std::string& key) {
  env_.engine.Get(space, key, &env_.queue,
                  lifetime_.Guard([this, space, key](base::Result<std::string> result) {
                    OnLoaded(space, key, std::move(result));
                  }));
}

void Records::OnLoaded(Space space, const std::string& key, base::Result<std::string> result) {
  Loads& loads = LoadsOf(space);
  const auto take = [&] {
    std::deque<Loaded>& line = loads.find(key)->second;
    Loaded use = std::move(line.front());
    line.pop_front();
    LeaveQueue();
    return use;
  };
  Loaded first = take();
  if (result) {
    first(std::optional<std::string>(std::move(*result)));
  } else if (result.error().code == Code::kNotFound) {
    first(std::optional<std::string>());
  } else {
    if (result.error().code != Code::kOverloaded) env_.metrics.replica_read_errors.Add();
    first(Fail(result.error()));
  }
  // The first may have changed the record: everyone else looks again, in order.
  while (!loads.find(key)->second.empty()) {
    Loaded use = take();
    Looked found;
    if (FindInMemory(space, key, &found)) {
      use(std::move(found));
      continue;
    }
    loads.find(key)->second.push_front(std::move(use));
    JoinQueueAnyway();
    StartLoad(space, key);
    return;
  }
  loads.erase(key);
}

base::Result<storage::RecordView> Records::Parse(std::string_view bytes) {
  auto parsed = storage::ParseRecord(bytes);
  if (!parsed) env_.metrics.replica_read_errors.Add();
  return parsed;
}

bool Records::IsBusy(Space space, const std::string& key) const {
  return pending_.Find(space, key) != nullptr || LoadsOf(space).contains(key);
}

std::vector<std::string> Records::KeysLoading(Space space) const {
  std::vector<std::string> keys;
  for (const auto& [key, line] : LoadsOf(space)) keys.push_back(key);
  return keys;
}

// --- the queue ---------------------------------------------------------------------------------

base::Status Records::CheckQueue() {
  if (pending_.Waiting() < queue_max_) return {};
  env_.metrics.replica_refused.Add();
  return Fail(Code::kOverloaded, "too many writes wait for the engine");
}

bool Records::JoinQueue() {
  if (waiting_ >= queue_max_) {
    env_.metrics.replica_refused.Add();
    return false;
  }
  JoinQueueAnyway();
  return true;
}

void Records::BehindLoads(const std::function<Loaded()>& make) {
  for (const Space space : {Space::kData, Space::kHints}) {
    for (auto& [key, line] : LoadsOf(space)) {
      JoinQueueAnyway();
      line.push_back(make());
    }
  }
}

// --- changing ----------------------------------------------------------------------------------

base::Result<PendingWrites::Put> Records::Change(const Place& place, const RecordChange& change,
                                                 const std::optional<causal::Actor>& own_actor,
                                                 base::WallTime now) {
  std::optional<std::string> record;
  if (change.after) record = storage::EncodeRecord(own_actor, change.after->object);
  if (place.space == Space::kHints) return PutHint(place, *record, now);
  riders_.OnChange(change);
  return PendingWrites::Put{place.space, place.key, std::move(record)};
}

base::Result<PendingWrites::Put> Records::PutHint(const Place& place, std::string_view record,
                                                  base::WallTime now) {
  Hint hint;
  hint.stored_ms = place.hint_bytes > 0 ? place.hint_stored_ms : now.ms;
  hint.version = hints_.NextVersion();
  hint.reference = place.hint_reference;
  hint.record = record;
  std::string value = EncodeHint(hint);
  HintStore::Change change{place.key, place.hint_bytes,
                           static_cast<int64_t>(place.key.size() + value.size()), hint.stored_ms};
  if (!hints_.Reserve(change)) {
    env_.metrics.hints_overflowed.Add();
    return Fail(Code::kUnavailable, "no more hints are kept for that member: a limit is reached");
  }
  env_.metrics.hints_stored.Add();
  pending_.Stage(
      {}, AckWhen::kWritten,
      [this, change = std::move(change)](const base::Status& status) {
        hints_.Settle(change, status.has_value());
      },
      [](const base::Status&) {});
  return PendingWrites::Put{place.space, place.key, std::move(value)};
}

}  // namespace lariat::replica
