// SPDX-License-Identifier: Apache-2.0
#include "sim/faults/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "storage/record.h"

namespace lariat::sim {
namespace {

constexpr int64_t kCutMs = 250;
constexpr int64_t kPauseMs = 300;
constexpr int64_t kOutMinMs = 500;
constexpr int64_t kOutMaxMs = 3500;
constexpr int64_t kMoveMs = 100;
constexpr int64_t kClockStepMs = 400;
constexpr int64_t kHourMs = 3600 * 1000;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr int64_t kClocksApartMs = 3;
constexpr int64_t kServesDamagedMs = 300;
constexpr base::Duration kWatch = base::Millis(5);
constexpr base::Duration kStandsAside = base::Millis(400);

}  // namespace

std::string_view BlowName(Blow blow) {
  switch (blow) {
    case Blow::kKill:
      return "kill";
    case Blow::kPower:
      return "power";
    case Blow::kPause:
      return "pause";
    case Blow::kCut:
      return "cut";
  }
  return "?";
}

Faults::Faults(Cluster& cluster, History& history, Report& report, uint64_t seed,
               std::function<void(size_t)> on_down)
    : cluster_(cluster),
      history_(history),
      report_(report),
      prng_(seed),
      on_down_(std::move(on_down)),
      damaged_machine_(prng_.Below(static_cast<uint64_t>(cluster.options().nodes))) {}

void Faults::Start() {
  const Options& o = cluster_.options();
  Every(o.cut_every_ms, &Faults::Cut);
  Every(o.one_way_every_ms, &Faults::CutOneWay);
  Every(o.break_every_ms, &Faults::Break);
  Every(o.kill_every_ms, &Faults::Kill);
  Every(o.move_every_ms, &Faults::MoveOne);
  Every(o.move_all_every_ms, &Faults::MoveAll);
  Every(o.power_every_ms, &Faults::CutPower);
  Every(o.sync_error_every_ms, &Faults::FailSync);
  Every(o.pause_every_ms, &Faults::Pause);
  Every(o.clock_step_every_ms, &Faults::StepClock);
  Every(o.clocks_step_every_ms, &Faults::StepAllClocks);
  Every(o.amnesia_every_ms, &Faults::ForgetRecord);
  Every(o.rollback_every_ms, &Faults::RollBack);
  Every(o.old_copy_every_ms, &Faults::PutOldCopy);
  Every(o.twin_every_ms, &Faults::StartTwin);
  Every(o.wipe_every_ms, &Faults::Wipe);
  Every(o.spoil_every_ms, &Faults::SpoilRecord);
  Every(o.unreadable_every_ms, &Faults::LoseFile);
  Every(o.cut_log_every_ms, &Faults::CutLog);
  if (o.cut_log_every_ms > 0) cluster_.machine(damaged_machine_).disk().KeepLog();
  if (o.rollback_every_ms + o.old_copy_every_ms + o.twin_every_ms > 0) {
    TakeImage();
    WatchIdentities();
  }
  if (o.sync_error_every_ms > 0) WatchHealth();
}

void Faults::Stop() {
  stopped_ = true;
  if (original_) EndTwin();
}

void Faults::After(base::Duration delay, env::Task task) {
  cluster_.scheduler().After(delay, std::move(task));
}

base::Duration Faults::Length(int64_t mean_ms) { return DrawDelay(mean_ms * 1000, &prng_); }

void Faults::Every(int64_t every_ms, Fault fault) {
  if (every_ms == 0) return;
  After(Length(every_ms), [this, every_ms, fault] {
    if (stopped_) return;
    (this->*fault)();
    Every(every_ms, fault);
  });
}

void Faults::Say(const std::string& what) {
  cluster_.trace().Note(cluster_.scheduler().Now(), -1, "", what, [&] { return "fault: " + what; });
}

bool Faults::PickRunning(size_t* machine) {
  *machine = prng_.Below(cluster_.size());
  return cluster_.machine(*machine).Running();
}

// --- the network -------------------------------------------------------------------------------

void Faults::Cut() {
  std::vector<bool> side;
  for (size_t i = 0; i < cluster_.size(); ++i) side.push_back(prng_.Chance(0.5));
  std::string text = "partition";
  std::vector<std::pair<int, int>> cuts;
  for (size_t a = 0; a < side.size(); ++a) {
    if (side[a]) text += fmt::format(" m{}", a + 1);
    for (size_t b = 0; b < side.size(); ++b) {
      if (side[a] != side[b]) cuts.emplace_back(static_cast<int>(a), static_cast<int>(b));
    }
  }
  if (cuts.empty()) return;
  report_.Count("faults: partitions");
  Say(text);
  for (const auto& [a, b] : cuts) cluster_.network().Cut(a, b);
  After(Length(kCutMs), [this, cuts] {
    for (const auto& [a, b] : cuts) cluster_.network().Mend(a, b);
    Say("partition mended");
  });
}

void Faults::CutOneWay() {
  const auto a = static_cast<int>(prng_.Below(cluster_.size()));
  const auto b = static_cast<int>(prng_.Below(cluster_.size()));
  if (a == b) return;
  report_.Count("faults: links cut one way");
  Say(fmt::format("link m{} to m{} cut", a + 1, b + 1));
  cluster_.network().Cut(a, b);
  After(Length(kCutMs), [this, a, b] {
    cluster_.network().Mend(a, b);
    Say(fmt::format("link m{} to m{} mended", a + 1, b + 1));
  });
}

std::function<void()> Faults::CutOff(size_t machine) {
  const auto each = [this, self = static_cast<int>(machine)](auto use) {
    for (int other = 0; other < static_cast<int>(cluster_.size()); ++other) {
      if (other == self) continue;
      use(self, other);
      use(other, self);
    }
  };
  Say(fmt::format("m{} is cut off", machine + 1));
  each([this](int from, int to) { cluster_.network().Cut(from, to); });
  return [this, each, machine, mended = std::make_shared<bool>(false)] {
    if (std::exchange(*mended, true)) return;
    each([this](int from, int to) { cluster_.network().Mend(from, to); });
    Say(fmt::format("m{} is reached again", machine + 1));
  };
}

void Faults::LetIn() {
  if (let_in_) let_in_();
}

void Faults::Break() {
  report_.Count("faults: connections broken");
  Say("a connection breaks");
  cluster_.network().BreakOne();
}

// --- machines ----------------------------------------------------------------------------------

void Faults::TakeDown(size_t machine, bool power_cut) {
  on_down_(machine);
  cluster_.machine(machine).Stop(power_cut);
  After(Length(cluster_.options().down_ms), [this, machine] {
    Machine& m = cluster_.machine(machine);
    if (!m.Running() && m.Wanted()) m.Start();
  });
}

void Faults::Strike(size_t machine, Blow blow) {
  report_.Count(fmt::format("faults: strikes ({})", BlowName(blow)));
  switch (blow) {
    case Blow::kKill:
    case Blow::kPower:
      return TakeDown(machine, blow == Blow::kPower);
    case Blow::kPause:
      return PauseMachine(machine, Length(kPauseMs));
    case Blow::kCut:
      return After(Length(kCutMs), CutOff(machine));
  }
}

void Faults::PutOut(size_t machine, Blow blow) {
  const base::Duration length = base::Millis(prng_.Between(kOutMinMs, kOutMaxMs));
  if (blow == Blow::kCut) {
    let_in_ = CutOff(machine);
    return After(length, let_in_);
  }
  if (blow == Blow::kPause) return PauseMachine(machine, length);
  on_down_(machine);
  cluster_.machine(machine).SetWanted(false);
  cluster_.machine(machine).Stop(blow == Blow::kPower);
}

void Faults::Kill() {
  size_t machine = 0;
  if (!PickRunning(&machine)) return;
  report_.Count("faults: processes killed");
  TakeDown(machine, false);
}

// One member at a time: if all move at once, nobody knows where anybody is. Not one that has left:
// nobody could find it then, nor it those who could tell it.
void Faults::MoveOne() {
  const std::vector<size_t> members = cluster_.Members();
  if (!cluster_.AllSeeAll()) return;
  const size_t machine = members[prng_.Below(members.size())];
  report_.Count("faults: addresses changed");
  TakeDown(machine, false);
  cluster_.machine(machine).Move();
  Say(fmt::format("m{} moves to {}", machine + 1, cluster_.machine(machine).Address()));
}

// All members, those that are down too, each when it likes, or all at once and with the addresses
// of each other. They are told where all of them are going to be.
void Faults::MoveAll() {
  const auto newest = cluster_.Newest();
  if (!newest || moving_ > 0) return;
  std::vector<size_t> all;
  for (const membership::Member& member : newest->topology.members) {
    if (const auto machine = cluster_.MachineOf(member.id)) all.push_back(*machine);
  }
  const bool go_round = prng_.Chance(0.5);
  std::vector<std::string> addresses;
  for (const size_t machine : all) addresses.push_back(cluster_.machine(machine).Address());
  std::rotate(addresses.begin(), addresses.begin() + 1, addresses.end());
  for (size_t i = 0; !go_round && i < all.size(); ++i) {
    addresses[i] = fmt::format("m{}:{}", all[i] + 1, 20000 + ++moves_);
  }
  report_.Count(go_round ? "faults: all addresses go round" : "faults: all addresses changed");
  Say(go_round ? "all addresses go round" : "all machines move");
  for (size_t i = 0; i < all.size(); ++i) {
    const auto wait = go_round ? base::Duration() : Length(kMoveMs);
    ++moving_;
    After(wait, [this, machine = all[i], address = addresses[i], addresses] {
      Machine& m = cluster_.machine(machine);
      if (m.Running()) TakeDown(machine, prng_.Chance(0.3));
      m.MoveTo(address);
      m.SetJoin(addresses);
      --moving_;
      Say(fmt::format("m{} moves to {}", machine + 1, address));
    });
  }
}

void Faults::CutPower() {
  size_t machine = 0;
  if (!PickRunning(&machine)) return;
  const bool everywhere = prng_.Chance(0.15);
  for (size_t i = 0; i < cluster_.size(); ++i) {
    if (!cluster_.machine(i).Running() || (i != machine && !everywhere)) continue;
    report_.Count("faults: power cuts");
    TakeDown(i, true);
  }
}

void Faults::FailSync() {
  size_t machine = 0;
  if (!PickRunning(&machine)) return;
  report_.Count("faults: failed syncs");
  Say(fmt::format("the next sync of m{} fails", machine + 1));
  cluster_.machine(machine).disk().FailNextSync();
}

void Faults::WatchHealth() {
  for (size_t i = 0; i < cluster_.size(); ++i) {
    const bool dead = cluster_.machine(i).Running() &&
                      cluster_.machine(i).disk().health() == storage::Health::kDead;
    if (dead && prng_.Chance(0.5)) TakeDown(i, true);
  }
  After(kWatch, [this] {
    if (!stopped_) WatchHealth();
  });
}

void Faults::Pause() {
  size_t machine = 0;
  if (!PickRunning(&machine)) return;
  report_.Count("faults: pauses");
  PauseMachine(machine, Length(kPauseMs));
}

void Faults::PauseMachine(size_t machine, base::Duration length) {
  Say(fmt::format("m{} is paused for {:.3f} s", machine + 1, base::ToSeconds(length)));
  cluster_.machine(machine).Pause(length);
}

void Faults::StepClock() {
  const size_t machine = damaged_machine_;
  const int64_t offset_ms = prng_.Between(-kHourMs, kHourMs);
  report_.Count("faults: clocks set wrong");
  Say(fmt::format("the clock of m{} is {} ms off", machine + 1, offset_ms));
  cluster_.machine(machine).SetWallOffset(offset_ms);
  After(Length(kClockStepMs), [this, machine] {
    if (!stopped_) cluster_.machine(machine).SetWallOffset(0);
  });
}

// Not quite at once: for a while some are a day ahead of the others.
void Faults::StepAllClocks() {
  const int64_t offset_ms = prng_.Between(0, kDayMs);
  report_.Count("faults: all clocks set wrong");
  Say(fmt::format("all clocks are {} ms off", offset_ms));
  const auto set_all = [this](int64_t to_ms) {
    for (size_t i = 0; i < cluster_.size(); ++i) {
      After(Length(kClocksApartMs), [this, i, to_ms] {
        if (!stopped_) cluster_.machine(i).SetWallOffset(to_ms);
      });
    }
  };
  set_all(offset_ms);
  After(Length(kClockStepMs), [set_all] { set_all(0); });
}

// --- disks -------------------------------------------------------------------------------------

void Faults::ForgetRecord() {
  Machine& machine = cluster_.machine(damaged_machine_);
  const auto& data = machine.disk().Image()[static_cast<size_t>(storage::Space::kData)];
  if (data.empty()) return;
  auto it = data.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(prng_.Below(data.size())));
  const std::string data_key = it->first;
  const auto parts = storage::ParseDataKey(data_key);
  const std::string key(parts->key);
  report_.Count("faults: records forgotten");
  Say(fmt::format("m{} forgets {}", machine.number() + 1, key));
  KeyHistory& history = history_.Of(key);
  if (!history.damaged) history.damaged = cluster_.scheduler().Now();
  machine.disk().Forget(data_key);
}

void Faults::TakeImage() {
  image_ = cluster_.machine(damaged_machine_).disk().Image();
  const Options& o = cluster_.options();
  const int64_t every_ms = std::max({o.rollback_every_ms, o.old_copy_every_ms, o.twin_every_ms});
  After(Length(every_ms / 2), [this] {
    if (!stopped_) TakeImage();
  });
}

void Faults::DamageAll() {
  for (auto& [key, history] : history_.keys) {
    if (!history.damaged) history.damaged = cluster_.scheduler().Now();
  }
}

// What the node knows of itself is kept: it comes back as the same one.
void Faults::Wipe() {
  Machine& machine = cluster_.machine(damaged_machine_);
  if (!machine.Running()) return;
  report_.Count("faults: disks wiped");
  Say(fmt::format("m{} loses its data", machine.number() + 1));
  DamageAll();
  TakeDown(damaged_machine_, false);
  storage::MemoryEngine::Image image = machine.disk().Image();
  for (const auto space : {storage::Space::kData, storage::Space::kTree, storage::Space::kHints}) {
    image[static_cast<size_t>(space)].clear();
  }
  machine.disk().Restore(std::move(image));
}

void Faults::SpoilRecord() {
  Machine& machine = cluster_.machine(damaged_machine_);
  const auto& data = machine.disk().Image()[static_cast<size_t>(storage::Space::kData)];
  if (data.empty()) return;
  const auto at = static_cast<std::ptrdiff_t>(prng_.Below(data.size()));
  const std::string data_key = std::next(data.begin(), at)->first;
  if (!machine.disk().Spoil(data_key)) return;
  report_.Count("faults: records damaged");
  Say(fmt::format("the record of {} on m{} is damaged", storage::ParseDataKey(data_key)->key,
                  damaged_machine_ + 1));
}

// The node drains, and opens its store again without what it cannot read.
void Faults::LoseFile() {
  Machine& machine = cluster_.machine(damaged_machine_);
  if (!machine.Running() || machine.disk().damaged()) return;
  machine.disk().LoseFile();
  if (!machine.disk().damaged()) return;
  report_.Count("faults: files damaged");
  Say(fmt::format("a file of m{} cannot be read any more", damaged_machine_ + 1));
  After(Length(kServesDamagedMs), [this] {
    Machine& served = cluster_.machine(damaged_machine_);
    if (!stopped_ && served.Running() && served.disk().damaged()) {
      TakeDown(damaged_machine_, false);
    }
  });
}

void Faults::CutLog() {
  Machine& machine = cluster_.machine(damaged_machine_);
  if (!machine.Running()) return;
  report_.Count("faults: logs cut");
  Say(fmt::format("the log of m{} is cut", damaged_machine_ + 1));
  machine.disk().CutLog();
  TakeDown(damaged_machine_, prng_.Chance(0.5));
  const int64_t lost_percent = cluster_.options().votes_lost_percent;
  if (lost_percent == 0 || !prng_.Chance(static_cast<double>(lost_percent) / 100)) return;
  report_.Count("faults: copies of votes damaged");
  Say(fmt::format("so is the copy of the votes of m{}", damaged_machine_ + 1));
  machine.disk().SpoilApart();
}

void Faults::RollBack() {
  Machine& machine = cluster_.machine(damaged_machine_);
  if (!machine.Running() || image_[0].empty()) return;
  report_.Count("faults: disks rolled back");
  Say(fmt::format("m{} gets an old copy of its disk", machine.number() + 1));
  DamageAll();
  TakeDown(damaged_machine_, false);
  machine.disk().Restore(image_);
}

// --- copies of disks -----------------------------------------------------------------------------

// Whatever the machine finds out, it hears from them.
bool Faults::AllKnowMore(size_t machine, const storage::MemoryEngine::Image& image) {
  const auto& meta = image[static_cast<size_t>(storage::Space::kMeta)];
  const auto stored = meta.find(node::kProgressKey);
  const auto had = stored == meta.end() ? wire::Progress() : node::DecodeProgress(stored->second);
  const uint64_t member = cluster_.machine(machine).Id()->high;
  std::set<bool> refused;  // all have to say the same, or it is put out after it was let in
  for (const size_t other : cluster_.Members()) {
    if (other == machine) continue;
    if (!cluster_.machine(other).Running()) return false;
    const auto known = cluster_.machine(other).node().past().pasts().Known(member, 0);
    if (!had || known.written <= had->written) return false;
    refused.insert(known.confirmed > had->confirmed);
  }
  return refused.size() == 1 && cluster_.AllSeeAll();
}

void Faults::PutOldCopy() {
  Machine& machine = cluster_.machine(damaged_machine_);
  const bool ready = machine.Running() && !old_copy_is_in_ && !image_[0].empty();
  if (!ready || !AllKnowMore(damaged_machine_, image_)) return;
  report_.Count("faults: old copies put back");
  Say(fmt::format("m{} gets an old copy of its disk", machine.number() + 1));
  TakeDown(damaged_machine_, false);
  true_image_ = machine.disk().Image();
  old_copy_is_in_ = true;
  machine.disk().PutBack(image_);
}

void Faults::StartTwin() {
  const size_t last = cluster_.size() - 1;
  Machine& twin = cluster_.machine(last);
  size_t original = prng_.Below(last);
  if (original_ || !cluster_.machine(original).Running() || !cluster_.AllSeeAll()) return;
  // An older one lacks more. Beside one that stands still it is let in, and both serve.
  const bool old = prng_.Chance(0.5) && !image_[0].empty();
  if (old) original = damaged_machine_;
  Machine& machine = cluster_.machine(original);
  if (!machine.Running()) return;
  report_.Count("faults: copies of disks started");
  Say(fmt::format("a copy of the disk of m{} is started on m{}", original + 1, last + 1));
  original_ = original;
  twin.BecomeCopy(machine.Name(), old ? image_ : machine.disk().Image());
  if (prng_.Chance(0.4)) {
    PauseMachine(original, base::Millis(prng_.Between(5, 12) * cluster_.options().gossip_ms));
  }
  twin.Start();
}

void Faults::EndTwin() {
  const size_t last = cluster_.size() - 1;
  Machine& twin = cluster_.machine(last);
  if (twin.Running()) {
    on_down_(last);
    twin.Stop(false);
  }
  twin.Discard();
  original_.reset();
  aside_since_.reset();
}

void Faults::WatchIdentities() {
  After(kWatch, [this] { WatchIdentities(); });
  const base::Instant now = cluster_.scheduler().Now();
  for (size_t i = 0; i < cluster_.size(); ++i) {
    Machine& machine = cluster_.machine(i);
    if (!machine.Running()) continue;
    const bool twin = original_ && i == cluster_.size() - 1;
    if (machine.node().wants_restart()) {
      report_.Count("identity: began anew when the other one was silent");
      TakeDown(i, false);
    } else if (machine.node().refused() && twin) {
      report_.Count("identity: copies refused");
      EndTwin();
    } else if (machine.node().refused()) {
      report_.Count("identity: old directories refused");
      TakeDown(i, false);
      if (std::exchange(old_copy_is_in_, false)) machine.disk().Restore(true_image_);
    } else if (twin && machine.node().past().twin().phase() == wire::RunPhase::kAside) {
      if (!aside_since_) report_.Count("identity: copies stood aside");
      if (!aside_since_) aside_since_ = now;
      if (now - *aside_since_ > kStandsAside) EndTwin();
    } else if (i == damaged_machine_ && old_copy_is_in_ && machine.node().healing().InDoubt() &&
               machine.node().shard(0).view()) {
      // Before it serves, the confirmation of a sweep that was under way may still get it refused.
      report_.Count("identity: old directories in doubt");
      old_copy_is_in_ = false;
    }
  }
}

}  // namespace lariat::sim
