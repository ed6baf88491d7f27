// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a log over a FakeDisk, on one thread, beside a list of what was
// appended and what was told. After each crash what comes back is compared with the list.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "storage/log/internal/fake_disk.h"
#include "storage/log/log.h"

namespace lariat::storage::log {

class FakeClock final : public env::Clock {
 public:
  base::Instant Now() const override { return now; }
  base::WallTime Wall() const override {
    return {1'000'000 + now.time_since_epoch().count() / 1'000'000};
  }
  base::Instant now{};
};

class FakeQueue final : public SyncQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override { tasks.push_back(std::move(task)); }
  void PostAfter(base::Duration delay, base::UniqueFunction<void()> task) override {
    delays.push_back(delay);
    Post(std::move(task));
  }
  void Run() {
    while (!tasks.empty()) {
      auto task = std::move(tasks.front());
      tasks.pop_front();
      task();
    }
  }
  std::deque<base::UniqueFunction<void()>> tasks;
  std::vector<base::Duration> delays;
};

// Writes at once, or when it is told to.
class FakeWriter final : public GroupWriter {
 public:
  FakeWriter(FakeDisk* disk, Bug bug) : disk_(disk), blocking_(disk), bug_(bug) {}
  void Write(const Group& group, Done done) override {
    group_ = &group;
    done_ = std::move(done);
    if (!holds) Land();
  }
  bool in_flight() const { return group_ != nullptr; }
  void Land() {
    Group group = *std::exchange(group_, nullptr);
    Done done = std::move(done_);
    if (bug_ == Bug::kToldBeforeWritten) {
      done({});
      return;  // and then the power went
    }
    if (bug_ == Bug::kLateWriteForgotten) group.dirty.clear();
    blocking_.Write(group, std::move(done));
  }
  // The process ends: the rest of the group never leaves.
  void Drop() {
    group_ = nullptr;
    done_ = {};
  }
  bool holds = false;

 private:
  FakeDisk* const disk_;
  BlockingWriter blocking_;
  const Bug bug_;
  const Group* group_ = nullptr;
  Done done_;
};

inline Shape SmallShape() { return {{11, 12}, 4 * kBlock, 4}; }

class LogWorld final : private Replay {
 public:
  struct Appended {
    Lsn end;
    std::string value;
    Lsn claimed;  // durable when it was appended
    bool behind;  // written behind or synced
  };

  explicit LogWorld(uint64_t seed, Bug bug = Bug::kNone) : prng(seed), files(seed + 1), bug_(bug) {}
  ~LogWorld() override { End(); }
  LogWorld(const LogWorld&) = delete;
  LogWorld& operator=(const LogWorld&) = delete;

  // Says what is wrong with what came back, or nothing.
  std::string Open() {
    auto disk_here = std::make_unique<FakeDisk>(&files, SmallShape(), bug_);
    disk = disk_here.get();
    if (power_in_open > 0) disk->CutPowerAfter(std::exchange(power_in_open, 0));
    auto writer_here = std::make_unique<FakeWriter>(disk, bug_);
    writer = writer_here.get();
    replayed_.clear();
    LogOptions options;
    options.shape = SmallShape();
    auto opened = Log::Open(options, std::move(disk_here), std::move(writer_here), &clock, this);
    if (!opened) {
      disk = nullptr;
      writer = nullptr;
      return opened.error().message == "injected" ? "" : "no open: " + opened.error().message;
    }
    log = *opened;
    return Judge();
  }
  void Append(size_t bytes) {
    std::string value(bytes, '\0');
    for (char& c : value) c = static_cast<char>(prng.Next());
    WriteBatch batch;
    batch.Put(Space::kData, "key", value);
    const Lsn claimed = log->durable();
    const auto end = log->Append(batch);
    if (end) appended.push_back({*end, std::move(value), claimed, false});
    if (!end && end.error().code == base::Code::kStalled) ++stalled;
  }
  base::Status WriteBehind() {
    const auto status = log->WriteBehind();
    if (status) NoteBehind(log->end());
    return status;
  }
  void Sync() {
    if (appended.empty()) return;
    const Lsn upto = appended.back().end;
    const bool late = disk->failed();
    log->Sync(upto, &queue, [this, upto, late](base::Status status) {
      if (status) told = std::max(told, upto);
      if (status) NoteBehind(upto);
      if (status && late) told_after_failure = true;
    });
  }
  void Settle() {
    if (writer->in_flight()) writer->Land();
    queue.Run();
  }
  // Whatever was given to the kernel is there for the next process.
  void Kill() {
    // Behind a group that never landed nothing can be read.
    keeps_behind_ = !writer->in_flight() && !disk->failed();
    End();
  }
  void PowerCut() {
    End();
    files.PowerCut();
    keeps_behind_ = false;
  }
  void NoteBehind(Lsn upto) {
    for (Appended& entry : appended) entry.behind = entry.behind || entry.end <= upto;
  }

  base::Prng prng;
  FakeFiles files;
  FakeClock clock;
  FakeQueue queue;
  FakeDisk* disk = nullptr;
  FakeWriter* writer = nullptr;
  std::shared_ptr<Log> log;
  std::vector<Appended> appended;
  Lsn told = 0;
  std::vector<Lsn> cuts{0};  // that are possible; the last one was told, if there are no others
  uint64_t power_in_open = 0;
  uint64_t stalled = 0;
  bool told_after_failure = false;
  bool may_be_damaged = false;

 private:
  base::Status OnBatch(Lsn end, WriteBatch batch) override {
    replayed_.emplace_back(end, batch.operations.at(0).value);
    return {};
  }
  void End() {
    if (writer != nullptr) writer->Drop();
    queue.tasks.clear();
    log.reset();
    disk = nullptr;
    writer = nullptr;
  }
  std::string Judge() {
    const Recovered& recovered = log->recovered();
    const bool damaged = recovered.ending == Ending::kDamaged;
    if (damaged && !may_be_damaged) return "damage is said where there is none: " + recovered.why;
    if (std::find(cuts.begin(), cuts.end(), recovered.cut) == cuts.end()) return "the cut is wrong";
    cuts = {recovered.cut};
    size_t at = 0;
    while (at < appended.size() && appended[at].end <= recovered.cut) ++at;
    for (const auto& [end, value] : replayed_) {
      if (at == appended.size()) return "more came back than was appended";
      if (appended[at].end != end) return "a frame is stale or missing";
      if (appended[at].value != value) return "a batch came back in part";
      ++at;
    }
    for (size_t lost = at; lost < appended.size() && !damaged && !may_be_damaged; ++lost) {
      if (appended[lost].end <= told) return "what was told durable is lost";
      if (keeps_behind_ && appended[lost].behind) return "what was written behind is lost";
    }
    appended.resize(at);
    told = recovered.end;
    NoteBehind(told);
    return "";
  }

  const Bug bug_;
  bool keeps_behind_ = false;
  std::vector<std::pair<Lsn, std::string>> replayed_;
};

}  // namespace lariat::storage::log
