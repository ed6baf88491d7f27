// SPDX-License-Identifier: Apache-2.0
#include "sim/check/healing.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "causal/object.h"
#include "merkle/grid.h"
#include "replica/hint.h"
#include "replica/tree/layout.h"
#include "sim/world/describe.h"
#include "storage/record.h"

namespace lariat::sim {
namespace {

using storage::Space;

constexpr base::Duration kHealingWatch = base::Millis(50);
constexpr base::Duration kHealingLook = base::Millis(100);
constexpr base::Duration kHealingLimit = base::Seconds(120);
// The scrub rests between two passes, and for half a minute after what it could not refill.
constexpr base::Duration kScrubLimit = base::Seconds(240);

// After that a question whose answer was lost is asked again, or given up.
base::Duration LostFor(const Options& options) {
  const bool lost = options.loss_ppm + options.cut_every_ms + options.one_way_every_ms +
                        options.break_every_ms + options.pause_every_ms + options.kill_every_ms +
                        options.power_every_ms >
                    0;
  return lost ? base::Seconds(10) : base::Duration{};
}

// How long a node may keep a hint, and how much later it has noticed.
struct HintAge {
  base::Duration max{};
  base::Duration slack{};
};

HintAge HintAgeOf(const Options& options) {
  // To have heard of hints, to look at them, to mark what they were for, to remove them.
  constexpr base::Duration kSteps = base::Seconds(3);
  const base::Duration max = base::Seconds(std::min(options.hint_window_s, options.gc_grace_s));
  const base::Duration look = std::clamp(max / 16, base::Seconds(1), base::Seconds(600));
  // A delivery whose answer never comes holds up the hints of its target.
  return {max, look + kSteps + LostFor(options)};
}

struct Unhealed {
  std::string key;
  std::string what;
};
using Found = std::optional<Unhealed>;

// What the disk holds now in that space; its image may have more, removed and not synced.
std::vector<storage::Entry> Present(Machine& machine, Space space) {
  std::vector<storage::Entry> entries;
  for (const auto& [key, durable] : machine.disk().Image()[static_cast<size_t>(space)]) {
    auto value = machine.disk().GetBlocking(space, key);
    if (value) entries.push_back({key, std::move(*value)});
  }
  return entries;
}

std::string ObjectOf(const std::string& record) {
  auto view = storage::ParseRecord(record);
  return view ? std::string(view->object) : "";
}

std::string UserKeyOf(std::string_view data_key) {
  const auto parts = storage::ParseDataKey(data_key);
  return parts ? std::string(parts->key) : "?";
}

Found FindHint(Machine& machine) {
  for (const storage::Entry& entry : Present(machine, Space::kHints)) {
    const auto parts = replica::ParseHintKey(entry.key);
    const std::string key = parts ? UserKeyOf(parts->data_key) : "?";
    return Unhealed{key, fmt::format("{} still keeps a hint for it", machine.Name())};
  }
  return std::nullopt;
}

Found FindDifference(Cluster& cluster, const std::string& key) {
  std::optional<std::string> first;
  for (const size_t m : cluster.Primaries(key)) {
    const auto record = cluster.machine(m).disk().GetBlocking(Space::kData, cluster.DataKey(key));
    const std::string object = record ? ObjectOf(*record) : "";
    if (!first) first = object;
    if (object == *first) continue;
    return Unhealed{key, fmt::format("replicas still differ: {} and {}", DescribeObject(*first),
                                     DescribeObject(object))};
  }
  return std::nullopt;
}

// Something that a sweep can remove.
Found FindGarbage(Cluster& cluster, Machine& machine) {
  const base::WallTime now = WallAt(cluster.scheduler().Now());
  for (const storage::Entry& entry : Present(machine, Space::kData)) {
    const std::string bytes = ObjectOf(entry.value);
    auto object = causal::Object::Decode(bytes);
    if (!object) return Unhealed{UserKeyOf(entry.key), "a record does not decode"};
    if (!object->LiveValues(now).empty() && !object->Traits().foldable) continue;
    return Unhealed{UserKeyOf(entry.key),
                    fmt::format("{} still holds {}", machine.Name(), DescribeObject(bytes))};
  }
  return std::nullopt;
}

// The tree of each leaf that holds something, and the number of keys in all.
Found FindWrongTree(Cluster& cluster, Machine& machine) {
  const auto* bucket = cluster.Newest()->FindBucket(kBucket);
  std::map<uint32_t, merkle::LeafSum> leaves;
  uint64_t keys = 0;
  for (const storage::Entry& entry : Present(machine, Space::kData)) {
    const auto parts = storage::ParseDataKey(entry.key);
    const std::string bytes = ObjectOf(entry.value);
    auto object = causal::Object::Decode(bytes);
    if (!parts || parts->bucket != bucket->id || !object) continue;
    const causal::ObjectTraits traits = object->Traits();
    const base::Hash128 hash = merkle::EntryHash(entry.key, causal::Object::Digest(bytes));
    leaves[merkle::LeafOf(parts->token)].Add(hash,
                                             {traits.tombstone, traits.expiring, traits.foldable});
    ++keys;
  }
  uint64_t counted = 0;
  for (uint32_t s = 0; s < machine.Shards(); ++s) {
    const auto& tree = machine.node().shard(s).replica().tree();
    if (!tree.Loaded() || tree.AnyUnknown()) {
      return Unhealed{"", fmt::format("{} does not know its hash tree", machine.Name())};
    }
    counted += tree.CountsOf(bucket->id).keys;
    for (auto& [leaf, sum] : leaves) sum -= tree.Leaf({bucket->id, leaf}).sum;
  }
  const auto wrong = std::any_of(leaves.begin(), leaves.end(),
                                 [](const auto& leaf) { return !leaf.second.Empty(); });
  if (counted == keys && !wrong) return std::nullopt;
  return Unhealed{"", fmt::format("the hash tree of {} counts {} keys, its disk holds {}{}",
                                  machine.Name(), counted, keys, wrong ? "; sums differ" : "")};
}

Found FindDoubt(Machine& machine) {
  const int64_t doubts = machine.node().shard(0).metrics().doubt_ranges.value();
  if (doubts == 0) return std::nullopt;
  return Unhealed{"", fmt::format("{} is in doubt about {} ranges", machine.Name(), doubts)};
}

Found FindDamage(Machine& machine) {
  for (const std::string& data_key : machine.disk().Spoiled()) {
    return Unhealed{UserKeyOf(data_key), fmt::format("{} still has it damaged", machine.Name())};
  }
  return FindDoubt(machine);
}

Found FindUnhealed(Cluster& cluster, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (auto found = FindDifference(cluster, key)) return found;
  }
  for (const size_t m : cluster.Members()) {
    Machine& machine = cluster.machine(m);
    if (auto found = FindHint(machine)) return found;
    if (auto found = FindDamage(machine)) return found;
    if (cluster.options().Purges()) {
      if (auto found = FindGarbage(cluster, machine)) return found;
    }
    if (auto found = FindWrongTree(cluster, machine)) return found;
  }
  return std::nullopt;
}

struct Work {
  std::map<size_t, uint64_t> comparisons;  // begun, by machine
  std::map<std::string, uint64_t> changes;
};

Work WorkSoFar(Cluster& cluster) {
  Work work;
  for (const size_t m : cluster.Members()) {
    Machine& machine = cluster.machine(m);
    for (uint32_t s = 0; s < machine.Shards(); ++s) {
      const telemetry::Metrics& metrics = machine.node().shard(s).metrics();
      work.comparisons[m] += metrics.repair_sessions.value();
      const auto add = [&](const char* what, const telemetry::Counter& counter) {
        work.changes[what] += counter.value();
      };
      add("records received", metrics.repair_keys_received);
      add("records sent", metrics.repair_keys_sent);
      add("hints stored", metrics.hints_stored);
      add("hints delivered", metrics.hints_delivered);
      add("read repairs", metrics.read_repairs);
    }
  }
  return work;
}

// The first member that has begun no comparison since then.
std::optional<size_t> FindIdle(Cluster& cluster, const Work& since) {
  for (const auto& [machine, comparisons] : WorkSoFar(cluster).comparisons) {
    const auto known = since.comparisons.find(machine);
    if (known != since.comparisons.end() && known->second == comparisons) return machine;
  }
  return std::nullopt;
}

// Equal replicas go on being compared, and that changes nothing.
void WatchQuiet(Cluster& cluster, base::Instant faults_ended, Report* report) {
  Scheduler& scheduler = cluster.scheduler();
  // A comparison that is under way may yet send what it found, to one that has it by now.
  constexpr base::Duration kUnderWay = base::Seconds(1);
  const base::Instant answered = faults_ended + LostFor(cluster.options());
  cluster.RunFor(kUnderWay + std::max(answered - scheduler.Now(), base::Duration{}));
  const Work before = WorkSoFar(cluster);
  cluster.RunFor(base::Seconds(3 * cluster.options().repair_interval_s));
  // After failures they pause.
  constexpr base::Duration kPause = base::Seconds(15);
  const bool all_compare =
      scheduler.RunUntilTrue([&] { return !FindIdle(cluster, before); }, kPause, base::Seconds(1));
  if (!all_compare) {
    const auto idle = FindIdle(cluster, before);
    if (idle) {
      report->Fail("quiet", "", cluster.machine(*idle).Name() + " does not compare any more",
                   scheduler.Now());
    }
  }
  for (const auto& [name, count] : WorkSoFar(cluster).changes) {
    const auto known = before.changes.find(name);
    if (known != before.changes.end() && known->second == count) continue;
    report->Fail("quiet", "", fmt::format("replicas are equal, and {} grow", name),
                 scheduler.Now());
  }
}

}  // namespace

void CheckDoubts(Cluster& cluster, Report* report) {
  Found doubt;
  const auto over = [&] {
    doubt.reset();
    for (const size_t m : cluster.Members()) {
      if (!doubt) doubt = FindDoubt(cluster.machine(m));
    }
    return !doubt;
  };
  if (cluster.scheduler().RunUntilTrue(over, kHealingLimit, base::Millis(50))) return;
  report->Fail("heals", "", doubt->what, cluster.scheduler().Now());
}

void CheckKept(Cluster& cluster, Report* report) {
  const auto fail = [&](const Machine& machine, const std::string& what) {
    report->Fail("kept", "", machine.Name() + " " + what, cluster.scheduler().Now());
  };
  for (size_t i = 0; i < cluster.size(); ++i) {
    Machine& machine = cluster.machine(i);
    const Disk::Counts& disk = machine.disk().counts();
    report->Count("healing: damaged records refilled", disk.refilled + disk.refilled_before);
    if (disk.unkept > 0) {
      fail(machine, fmt::format("has overwritten or removed {} damaged records, and keeps them not",
                                disk.unkept));
    }
    if (!machine.Running()) continue;
    const telemetry::Metrics& metrics = machine.node().shard(0).metrics();
    const uint64_t refilled = metrics.scrub_refilled.value();
    if (refilled != disk.refilled || metrics.scrub_damaged.value() < refilled) {
      fail(machine, fmt::format("has refilled {} damaged records, and counts {} of {} found",
                                disk.refilled, refilled, metrics.scrub_damaged.value()));
    }
  }
}

void CheckHealing(Cluster& cluster, const std::vector<std::string>& keys, Report* report) {
  Scheduler& scheduler = cluster.scheduler();
  report->Count("checks: healings");
  // What a request that was answered still owes is noted when its time is over.
  cluster.RunFor(base::Millis(2 * cluster.options().request_timeout_ms));
  const base::Instant began = scheduler.Now();
  const auto healed = [&] { return !FindUnhealed(cluster, keys); };
  const base::Duration limit = cluster.options().Damages() ? kScrubLimit : kHealingLimit;
  if (!scheduler.RunUntilTrue(healed, limit, kHealingLook)) {
    const Found left = FindUnhealed(cluster, keys);
    if (left) report->Fail("heals", left->key, left->what, scheduler.Now());
    return;
  }
  report->Count("healing: virtual milliseconds",
                static_cast<uint64_t>(base::ToSeconds(scheduler.Now() - began) * 1000));
  WatchQuiet(cluster, began, report);
  if (const Found left = FindUnhealed(cluster, keys)) {
    report->Fail("quiet", left->key, "after it was healed: " + left->what, scheduler.Now());
  }
}

// --- hints -------------------------------------------------------------------------------------

void HintWatch::Start() { Look(); }

void HintWatch::Look() {
  // Who was removed keeps what it had, and tells nobody.
  for (const size_t i : cluster_.Members()) LookAt(cluster_.machine(i));
  cluster_.scheduler().After(kHealingWatch, [this] { Look(); });
}

void HintWatch::Fail(const Machine& machine, const std::string& what) {
  report_.Fail("hints", "", machine.Name() + " " + what, cluster_.scheduler().Now());
}

void HintWatch::LookAt(Machine& machine) {
  const Options& o = cluster_.options();
  // Clocks that were all wrong together cannot tell.
  const bool ages = o.clocks_step_every_ms == 0;
  HintAge age = HintAgeOf(o);
  age.slack += base::Millis(o.ClockErrorMs());
  const base::Instant now = cluster_.scheduler().Now();
  Running& running = running_[machine.number()];
  if (running.life != machine.Life()) running = {machine.Life(), now};
  running.since = std::max(running.since, machine.PausedUntil());
  std::map<uint64_t, int64_t> bytes;
  int64_t total = 0;
  SeenHints seen;
  for (const storage::Entry& entry : Present(machine, Space::kHints)) {
    report_.Count("checks: hints seen");
    const auto parts = replica::ParseHintKey(entry.key);
    if (!parts) return Fail(machine, "keeps a hint under a malformed key");
    const auto size = static_cast<int64_t>(entry.key.size() + entry.value.size());
    bytes[parts->target] += size;
    total += size;
    const auto hint = replica::ParseHint(entry.value);
    if (!hint) return Fail(machine, "keeps a malformed hint");
    const HintId id{machine.number(), entry.key, hint->stored_ms};
    const auto known = seen_.find(id);
    const base::Instant first = known == seen_.end() ? now : known->second;
    seen[id] = first;
    const bool too_old = now > std::max(first + age.max, running.since) + age.slack;
    if (ages && too_old && too_old_.insert(id).second) {
      Fail(machine, fmt::format("keeps a hint for {} for {:.1f} s", UserKeyOf(parts->data_key),
                                base::ToSeconds(now - first)));
    }
  }
  for (const auto& [target, size] : bytes) {
    if (size > o.hint_target_bytes) {
      Fail(machine, fmt::format("keeps {} bytes of hints for one member, the limit is {}", size,
                                o.hint_target_bytes));
    }
  }
  if (total > o.hint_total_bytes) {
    Fail(machine,
         fmt::format("keeps {} bytes of hints, the limit is {}", total, o.hint_total_bytes));
  }
  std::erase_if(seen_, [&](const auto& e) { return std::get<0>(e.first) == machine.number(); });
  seen_.merge(seen);
}

}  // namespace lariat::sim
