// SPDX-License-Identifier: Apache-2.0
#include "sim/scale/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/prng.h"
#include "sim/scale/world.h"

namespace lariat::sim::scale {
namespace {

using membership::DetectorEvent;

constexpr int kChangeRoundsMax = 100;

// One cluster on its way through the phases.
class Course {
 public:
  Course(const Setup& setup, uint64_t seed, const Progress& progress)
      : setup_(setup), progress_(progress), draw_(seed ^ 0x5ca1e), world_(Options(seed)) {
    row_.setup = setup;
    for (uint32_t i = 0; i < world_.size(); ++i) row_.observers += world_.Watch(i) ? 1 : 0;
    world_.set_on_verdict([this](uint32_t observer, membership::DetectorAction action) {
      OnVerdict(observer, action);
    });
  }

  Row Run() {
    Say("warm-up");
    for (int i = 0; i < setup_.warm_rounds; ++i) world_.Round();
    Say("rest");
    Rest();
    Say("change");
    Change();
    Say("death");
    Death();
    return row_;
  }

 private:
  struct Sums {
    uint64_t suspicions = 0, probes = 0;
  };

  void Say(const char* phase) const {
    if (!progress_) return;
    progress_(fmt::format("{} nodes, {}: {}", setup_.nodes,
                          setup_.hierarchical ? "hierarchical" : "flat", phase));
  }

  WorldOptions Options(uint64_t seed) {
    WorldOptions options;
    options.members = MakeMembers(setup_.nodes, setup_.racks, setup_.dcs, base::Prng(~seed));
    options.hierarchy =
        setup_.hierarchical ? membership::Hierarchy::kOn : membership::Hierarchy::kOff;
    options.seed = seed;
    victim_ = static_cast<uint32_t>(draw_.Below(setup_.nodes));
    if (setup_.sampled_observers == 0) return options;
    const auto rack = options.members->Rack(options.members->RackOf(victim_));
    options.observers.assign(rack.begin(), rack.end());
    for (uint32_t i = 0; i < setup_.sampled_observers; ++i) {
      options.observers.push_back(static_cast<uint32_t>(draw_.Below(setup_.nodes)));
    }
    return options;
  }

  Sums DetectorSums() const {
    Sums sums;
    for (uint32_t i = 0; i < world_.size(); ++i) {
      if (world_.Watch(i) == nullptr) continue;
      const membership::DetectorStats& stats = world_.Watch(i)->detector().stats();
      sums.suspicions += stats.suspicions;
      sums.probes += stats.probes_ok + stats.probes_failed;
    }
    return sums;
  }

  void Rest() {
    std::vector<uint64_t> before;
    for (uint32_t i = 0; i < world_.size(); ++i) before.push_back(world_.SentBy(i).bytes);
    const Sums sums = DetectorSums();
    const uint64_t convictions = false_convictions_;
    for (int i = 0; i < setup_.rest_rounds; ++i) world_.Round();
    for (uint32_t i = 0; i < world_.size(); ++i) {
      const double rate =
          static_cast<double>(world_.SentBy(i).bytes - before[i]) / setup_.rest_rounds;
      row_.bytes_mean += rate / world_.size();
      row_.bytes_max = std::max(row_.bytes_max, rate);
    }
    const double observer_s = static_cast<double>(row_.observers) * setup_.rest_rounds;
    row_.watched_pair_hours = observer_s * (world_.size() - 1) / 3600;
    row_.suspicions = DetectorSums().suspicions - sums.suspicions;
    row_.convictions = false_convictions_ - convictions;
    row_.probes_per_s = static_cast<double>(DetectorSums().probes - sums.probes) / observer_s;
  }

  void Change() {
    const auto source = static_cast<uint32_t>(draw_.Below(world_.size()));
    const base::Uuid id = world_.members().Id(source);
    membership::NodeStates states;
    states.topology_epoch = 2;
    states.topology_digest = 0x1234;
    world_.SetStates(source, states);
    const auto size = static_cast<int>(world_.size());
    for (int round = 1; round <= kChangeRoundsMax && row_.rounds_all == 0; ++round) {
      world_.Round();
      int known = 0;
      for (uint32_t i = 0; i < world_.size(); ++i) {
        const auto view = world_.Gossip(i).Find(id);
        known += view && view->states.topology_epoch == 2 ? 1 : 0;
      }
      if (row_.rounds_most == 0 && known * 100 >= size * 99) row_.rounds_most = round;
      if (known == size) row_.rounds_all = round;
    }
  }

  void Death() {
    world_.Kill(victim_);
    death_ = world_.now();
    const size_t wanted = row_.observers - (world_.Watch(victim_) != nullptr ? 1 : 0);
    for (int i = 0; i < setup_.death_rounds_max && convicted_.size() < wanted; ++i) {
      world_.Round();
    }
    std::vector<double> all, rack;
    const membership::MemberList& members = world_.members();
    for (const auto& [observer, after] : convicted_) {
      all.push_back(after);
      if (members.RackOf(observer) == members.RackOf(victim_)) rack.push_back(after);
    }
    std::sort(all.begin(), all.end());
    if (!all.empty()) row_.first_s = all.front();
    if (all.size() * 2 > wanted) row_.median_s = all[wanted / 2];
    if (rack.size() + 1 == members.Rack(members.RackOf(victim_)).size()) {
      row_.rack_s = *std::max_element(rack.begin(), rack.end());
    }
    if (all.size() == wanted) row_.all_s = all.back();
  }

  void OnVerdict(uint32_t observer, membership::DetectorAction action) {
    const bool about_victim = action.node == world_.members().Id(victim_).high;
    if (action.event == DetectorEvent::kRevived) return;
    if (!about_victim || world_.IsAlive(victim_)) {
      ++false_convictions_;
    } else {
      convicted_.emplace(observer, base::ToSeconds(world_.now() - death_));
    }
  }

  Setup setup_;
  const Progress& progress_;
  base::Prng draw_;
  uint32_t victim_ = 0;
  World world_;
  Row row_;
  uint64_t false_convictions_ = 0;
  base::Instant death_;
  std::map<uint32_t, double> convicted_;  // the first verdict of each observer
};

}  // namespace

Row Measure(const Setup& setup, uint64_t seed, const Progress& progress) {
  return Course(setup, seed, progress).Run();
}

std::vector<Setup> Setups(bool quick) {
  std::vector<Setup> setups;
  const auto both = [&](Setup setup) {
    setups.push_back(setup);
    setup.hierarchical = true;
    setups.push_back(setup);
  };
  both({10, 2, 1, false, 30, quick ? 60 : 3600, 60, 0});
  both({100, 10, 2, false, 40, quick ? 20 : 300, 60, 0});
  if (quick) return setups;
  both({1000, 40, 4, false, 50, 40, 60, 0});
  setups.push_back({10000, 200, 8, false, 45, 10, 60, 64});
  setups.push_back({10000, 200, 8, true, 60, 30, 60, 64});
  return setups;
}

}  // namespace lariat::sim::scale
