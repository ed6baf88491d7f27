// SPDX-License-Identifier: Apache-2.0
// Faults that come and go while the traffic runs: each kind on its own, at random times with the
// mean distance that the options say, each undone after a while. What lies in the world itself
// (lost messages, failed reads) is in network.h and disk.h.
#pragma once

#include <functional>
#include <string>

#include "sim/model/history.h"
#include "sim/report/report.h"
#include "sim/world/cluster.h"

namespace lariat::sim {

// What can happen to one machine.
enum class Blow : uint8_t { kKill, kPower, kPause, kCut };
inline constexpr uint64_t kBlows = 4;
std::string_view BlowName(Blow blow);

class Faults {
 public:
  // `on_down`: a machine's process is about to be gone.
  Faults(Cluster& cluster, History& history, Report& report, uint64_t seed,
         std::function<void(size_t)> on_down);
  void Start();
  // No new ones. Machines that are down come back by Cluster::Heal.
  void Stop();
  // REQUIRES: the machine runs. All of them end after a while.
  void Strike(size_t machine, Blow blow);
  // So long that the others give it up: killed or without power until the end of all faults; paused
  // for a while; or cut off until LetIn, or for a while.
  void PutOut(size_t machine, Blow blow);
  void LetIn();

 private:
  using Fault = void (Faults::*)();
  // Does it again and again, `every_ms` apart on average; not at all if that is 0.
  void Every(int64_t every_ms, Fault fault);
  void After(base::Duration delay, env::Task task);
  base::Duration Length(int64_t mean_ms);

  void Cut();
  void CutOneWay();
  void Break();
  void Kill();
  void MoveOne();
  void MoveAll();
  void CutPower();
  void FailSync();
  void Pause();
  void StepClock();
  void StepAllClocks();
  void ForgetRecord();
  void RollBack();
  void PutOldCopy();
  void StartTwin();
  void Wipe();
  void SpoilRecord();
  void LoseFile();
  void CutLog();
  void DamageAll();

  // The links to and from all others. The result mends them, once.
  std::function<void()> CutOff(size_t machine);
  void PauseMachine(size_t machine, base::Duration length);
  void TakeDown(size_t machine, bool power_cut);
  // Machines whose engine is dead exit, as the program does.
  void WatchHealth();
  // So do those that must not serve; who has thrown away the wrong directory puts it back.
  void WatchIdentities();
  void EndTwin();
  bool AllKnowMore(size_t machine, const storage::MemoryEngine::Image& image);
  void TakeImage();
  void Say(const std::string& what);
  bool PickRunning(size_t* machine);

  Cluster& cluster_;
  History& history_;
  Report& report_;
  base::Prng prng_;
  std::function<void(size_t)> on_down_;
  bool stopped_ = false;
  uint64_t moves_ = 0;
  size_t moving_ = 0;  // machines that are about to
  std::function<void()> let_in_;
  size_t damaged_machine_;  // all damage is done to one disk: one is what the guarantees allow
  storage::MemoryEngine::Image image_;
  storage::MemoryEngine::Image true_image_;  // of the disk in whose place an old copy was put
  bool old_copy_is_in_ = false;
  std::optional<size_t> original_;  // of the twin, while there is one
  std::optional<base::Instant> aside_since_;
};

}  // namespace lariat::sim
