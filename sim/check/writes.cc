// SPDX-License-Identifier: Apache-2.0
#include "sim/check/writes.h"

#include <fmt/format.h>

#include <algorithm>

#include "replica/hint.h"
#include "ring/token.h"
#include "storage/record.h"

namespace lariat::sim {
namespace {

bool Holds(const std::string& record, const std::set<causal::Dot>& dots) {
  auto view = storage::ParseRecord(record);
  if (!view) return false;
  auto object = causal::Object::Decode(view->object);
  if (!object) return false;
  for (const causal::Dot& dot : dots) {
    if (const causal::LwwRegister* lww = object->lww()) {
      if (std::tie(lww->stamp.packed, lww->node) >= std::tie(dot.counter, dot.actor.node)) {
        return true;
      }
    } else if (object->dvv()->history().Contains(dot)) {
      return true;
    }
  }
  return false;
}

uint32_t CountDurable(Cluster& cluster, const DotRegistry& dots, const KeyHistory& history,
                      int token, const std::vector<size_t>& machines) {
  std::set<causal::Dot> own = dots.DotsOf(TokenText(history.key, token));
  // Of the stamps that a register has got the last one is the one that was acknowledged.
  const bool stamps = !own.empty() && own.begin()->actor.incarnation == 0;
  const bool once = history.writes[static_cast<size_t>(token)].attempts == 1;
  if (stamps && once) own = {*own.rbegin()};
  uint32_t durable = history.damaged ? 1 : 0;
  const auto holds = [&](const Machine& machine) {
    const std::string data_key = cluster.DataKey(history.key);
    const std::string* record = machine.disk().FindDurable(data_key);
    // What it held until the disk was damaged, others may have heard of.
    const auto& lost = machine.disk().damage().LostOf(data_key);
    const bool held = std::any_of(lost.begin(), lost.end(),
                                  [&own](const std::string& old) { return Holds(old, own); });
    return held || (record != nullptr && Holds(*record, own));
  };
  const Machine& last = cluster.machine(cluster.size() - 1);  // perhaps a copy of one of them
  for (const size_t i : machines) {
    const Machine& machine = cluster.machine(i);
    durable += holds(machine) || (last.Id() == machine.Id() && holds(last)) ? 1 : 0;
  }
  return durable;
}

// Machines that hold the write for another one, durably.
uint32_t CountHints(Cluster& cluster, const DotRegistry& dots, const KeyHistory& history,
                    int token) {
  const auto& own = dots.DotsOf(TokenText(history.key, token));
  const std::string data_key = cluster.DataKey(history.key);
  uint32_t holders = 0;
  for (size_t machine = 0; machine < cluster.size(); ++machine) {
    const auto& hints =
        cluster.machine(machine).disk().Image()[static_cast<size_t>(storage::Space::kHints)];
    holders += std::any_of(hints.begin(), hints.end(), [&](const auto& entry) {
      const auto key = replica::ParseHintKey(entry.first);
      if (!key || key->data_key != data_key) return false;
      const auto hint = replica::ParseHint(entry.second);
      return hint && !hint->record.empty() && Holds(std::string(hint->record), own);
    });
  }
  return holders;
}

// Who took part is told truly: stand-ins never as replicas, and only where they may count.
void CheckStandIns(Cluster& cluster, const DotRegistry& dots, const KeyHistory& history,
                   const Acknowledgement& ack, Report* report) {
  const auto fail = [&](const char* checker, const std::string& what) {
    report->Fail(checker, history.key, fmt::format("t{} {}", ack.token, what),
                 cluster.scheduler().Now());
  };
  if (ack.fallbacks > 0) report->Count("checks: stand-ins counted");
  if (!ack.sloppy && ack.fallbacks > 0) fail("quorum", "counts stand-ins, and it is strict");
  if (ack.primaries + ack.fallbacks == 0) return;  // a replay
  if (ack.primaries + ack.fallbacks < ack.needed) {
    fail("quorum", fmt::format("is acknowledged by {} and {} stand-ins; needed {}", ack.primaries,
                               ack.fallbacks, ack.needed));
  }
  // A hint that was delivered meanwhile is on one more replica.
  const auto replicas =
      CountDurable(cluster, dots, history, ack.token, cluster.Primaries(history.key));
  const uint32_t holders = replicas + CountHints(cluster, dots, history, ack.token);
  if (ack.fallbacks > 0 && holders < ack.primaries + ack.fallbacks) {
    fail("durable", fmt::format("is acknowledged by {} replicas and {} stand-ins; {} disks hold it",
                                ack.primaries, ack.fallbacks, holders));
  }
}

void CheckOneEvent(const KeyHistory& history, int token, const DotRegistry& dots,
                   const Options& options, Report* report) {
  const Write& write = history.writes[static_cast<size_t>(token)];
  const auto& dots_of_it = dots.DotsOf(TokenText(history.key, token));
  // An event of a register may get another stamp by the node that made it.
  std::set<uint64_t> makers;
  for (const causal::Dot& dot : dots_of_it) makers.insert(dot.actor.node);
  const size_t events = options.lww != 0 ? makers.size() : dots_of_it.size();
  if (write.outcome == Outcome::kNotDone && events > 0) {
    report->Fail("not_done", history.key,
                 fmt::format("t{} was stored, its client was told that it was not done", token),
                 write.ended);
  }
  // A repeated request makes a second event if its first is out of reach; nothing else may.
  const bool excused = write.attempts > 1 && options.strict_idempotency == 0;
  if (events > 1 && !excused) {
    report->Fail("one_event", history.key,
                 fmt::format("t{} made {} events in {} attempts", token, events, write.attempts),
                 write.ended);
  }
}

// The replicas that may answer, and how many are given up: those count as lost copies, for none of
// them is ever read. With r + w > n any r of the others meet any w - lost of the others.
struct Answering {
  std::vector<size_t> machines;
  uint32_t lost = 0;
};

Answering AnsweringOf(const Cluster& cluster, const membership::View& view,
                      const std::vector<ring::NodeIndex>& replicas) {
  Answering answering;
  std::vector<ring::NodeIndex> others;
  for (const ring::NodeIndex i : replicas) {
    if (view.MemberAt(i).given_up) {
      ++answering.lost;
    } else {
      others.push_back(i);
    }
  }
  answering.machines = cluster.MachinesOf(view, others);
  return answering;
}

struct Stamped {
  const Write* write;
  const std::string* key;
};

void CheckStampsGrow(const History& history, const Options& options, Report* report) {
  std::map<std::pair<uint64_t, uint32_t>, std::vector<Stamped>> by_clock;
  for (const auto& [key, of_key] : history.keys) {
    const uint32_t shard = ring::ShardOf(ring::TokenOf(key), static_cast<uint32_t>(options.shards));
    for (const Write& write : of_key.writes) {
      if (!write.stamp || write.attempts != 1) continue;
      by_clock[{write.stamp->node, shard}].push_back({&write, &key});
    }
  }
  for (const auto& [clock, writes] : by_clock) {
    for (const Stamped& a : writes) {
      for (const Stamped& b : writes) {
        if (a.write->done >= b.write->started) continue;
        if (a.write->stamp->stamp < b.write->stamp->stamp) continue;
        report->Fail(
            "clock", *b.key,
            fmt::format("a clock went back: {} after {} ({})", b.write->stamp->stamp.packed,
                        a.write->stamp->stamp.packed, *a.key),
            b.write->done);
      }
    }
  }
}

}  // namespace

void CheckAcknowledgement(Cluster& cluster, const DotRegistry& dots, const KeyHistory& history,
                          const Acknowledgement& ack, Report* report) {
  report->Count("checks: acknowledgements");
  const auto now = cluster.scheduler().Now();
  CheckStandIns(cluster, dots, history, ack, report);
  const bool replay = ack.primaries + ack.fallbacks == 0;
  // Where stand-ins count, a replay says nothing of replicas.
  if (replay && ack.sloppy) return;
  const uint32_t said = replay ? ack.needed : ack.primaries;
  if (said + ack.fallbacks < ack.needed || said > cluster.options().NMax()) {
    report->Fail("quorum", history.key,
                 fmt::format("t{} acknowledged by {} replicas; needed {} of {}", ack.token, said,
                             ack.needed, cluster.options().NMax()),
                 now);
  }
  // Whatever document a member works by: those that it would read hold the write.
  const auto views = cluster.InUse();
  for (const auto& view : views) {
    const auto* bucket = view->FindBucket(kBucket);
    if (bucket == nullptr) continue;
    const auto replicas = view->ReplicasOf(ring::TokenOf(history.key), *bucket);
    const bool moves = !replicas.other.empty() || views.size() > 1;
    const Answering answering = AnsweringOf(cluster, *view, replicas.read);
    const uint32_t durable = CountDurable(cluster, dots, history, ack.token, answering.machines);
    const auto there = static_cast<uint32_t>(replicas.read.size());  // fewer where n has shrunk
    const uint32_t wanted = moves ? std::min(ack.needed, said) : said;
    if (durable + answering.lost >= std::min(wanted, there)) continue;
    report->Fail("durable", history.key,
                 fmt::format("t{} is acknowledged for {} replicas; {} disks of epoch {} hold it",
                             ack.token, said, durable, view->topology.epoch),
                 now);
  }
}

void CheckHeld(Cluster& cluster, const History& history, const DotRegistry& dots, Report* report) {
  // Where stand-ins count, or overwritten values are forgotten, nothing of it can be asked.
  if (cluster.options().sloppy != 0 || cluster.options().Purges()) return;
  const auto needed = static_cast<uint32_t>(cluster.options().w);
  for (const auto& view : cluster.InUse()) {
    const auto* bucket = view->FindBucket(kBucket);
    if (bucket == nullptr) continue;
    for (const auto& [key, of_key] : history.keys) {
      const auto replicas = view->ReplicasOf(ring::TokenOf(key), *bucket);
      const Answering answering = AnsweringOf(cluster, *view, replicas.read);
      for (size_t i = 0; i < of_key.writes.size(); ++i) {
        const Write& write = of_key.writes[i];
        if (write.outcome != Outcome::kDone || write.is_delete) continue;
        report->Count("checks: writes held");
        const uint32_t durable =
            CountDurable(cluster, dots, of_key, static_cast<int>(i), answering.machines);
        if (durable + answering.lost >= needed) continue;
        report->Fail("held", key,
                     fmt::format("t{} was acknowledged; {} disks of epoch {} hold it", i, durable,
                                 view->topology.epoch),
                     cluster.scheduler().Now());
      }
    }
  }
}

void CheckWrites(const History& history, const DotRegistry& dots, const Options& options,
                 Report* report) {
  for (const auto& [key, of_key] : history.keys) {
    for (size_t i = 0; i < of_key.writes.size(); ++i) {
      if (of_key.writes[i].is_delete) continue;
      report->Count("checks: writes judged");
      CheckOneEvent(of_key, static_cast<int>(i), dots, options, report);
    }
  }
  // Clocks that were ahead together are taken back together.
  if (options.lww != 0 && options.clocks_step_every_ms == 0) {
    CheckStampsGrow(history, options, report);
  }
}

}  // namespace lariat::sim
