// SPDX-License-Identifier: Apache-2.0
// Reads all records of this node again and again, slowly, and verifies them; a damaged one is
// replaced by what the other replicas hold of it, and its bytes are kept for people. The shell of
// ScrubCore and JudgeRefill. Everything it needs from the node comes through ScrubPort.
//
// Invariants: a record that cannot be refilled stays damaged, which reads as an error; it never
// becomes "absent", and it is never sent to anybody.
//
// Threads: one thread, that of the Env given; callbacks of the port come on it too.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/env.h"
#include "repair/scrub/refill_core.h"
#include "repair/scrub/scrub_core.h"
#include "repair/throttle_core.h"
#include "replica/meta_store.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::repair {

struct ScrubFinding {
  std::string data_key;
  std::string bytes;  // as they are stored
  std::string cause;
};
struct ScrubbedLeaf {
  uint64_t bytes = 0;
  std::vector<ScrubFinding> damaged;
};

class ScrubPort {
 public:
  virtual ~ScrubPort() = default;
  // Each of these answers exactly once, at once or later.
  // An error: it is not known yet, ask again.
  using BucketsDone = base::UniqueFunction<void(base::Result<std::vector<uint32_t>>)>;
  virtual void FindBuckets(BucketsDone done) = 0;
  // Which of the leaves first..last may hold a record, damaged ones not forgotten.
  using LeavesDone = base::UniqueFunction<void(std::vector<bool>)>;
  virtual void FindLeaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) = 0;
  // Reads the leaf, all shards' parts of it. An error: not all of its records could be read.
  using CheckDone = base::UniqueFunction<void(base::Result<ScrubbedLeaf>)>;
  virtual void Check(uint32_t bucket, uint32_t leaf, CheckDone done) = 0;
  // What every other replica of the key holds. An error: it is not known who they are, or this
  // node is none.
  using AnswersDone = base::UniqueFunction<void(base::Result<std::vector<RefillAnswer>>)>;
  virtual void AskOthers(std::string data_key, AnswersDone done) = 0;
  // kOk: replaced and durable. kConflict: it is another record by now. kOverloaded: try again.
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  virtual void Replace(std::string data_key, std::string damaged, std::string object,
                       StatusDone done) = 0;
  virtual std::string NameOf(const std::string& data_key) const = 0;  // for people
  virtual std::string BucketName(uint32_t bucket) const = 0;          // likewise
};

struct ScrubStatus {
  double fraction = 0;
  int64_t last_ms = 0;
  uint64_t damaged = 0, refilled = 0;  // since the start
  std::string trouble;
};

class Scrub {
 public:
  static constexpr size_t kDamagedMax = 1024;  // remembered; more are found by the next pass
  // What a leaf costs apart from its records.
  static constexpr uint64_t kLeafBytes = 4096;

  Scrub(env::Env env, ScrubPort& port, replica::MetaStore& meta, telemetry::Metrics& metrics,
        telemetry::LogSink& log);
  ~Scrub();

  void Start();
  void SetRate(uint64_t bytes_per_s);                             // 0: not at all
  void SetPause(base::Duration pause) { core_.SetPause(pause); }  // between two passes
  // The other replicas may have changed, or come back: what could not be refilled is tried again.
  void Retry();
  ScrubStatus Status() const;

 private:
  struct Damage {
    std::string bytes;
    base::Instant not_before{};
    std::string why;  // it is still damaged
  };

  void EachTurn();
  void Walk();
  void OnChecked(uint32_t bucket, uint32_t leaf, base::Result<ScrubbedLeaf> result);
  void Note(ScrubFinding finding);
  void EndPass();
  void Refill();
  void OnAnswers(const std::string& data_key, base::Result<std::vector<RefillAnswer>> answers);
  void OnReplaced(const std::string& data_key, const base::Status& status);
  void Postpone(const std::string& data_key, std::string why, base::Duration pause);
  void Store();
  template <typename Use>
  auto WhileAlive(Use use);

  env::Env env_;
  ScrubPort& port_;
  replica::MetaStore& meta_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  uint64_t rate_ = 0;
  Throttle throttle_;
  ScrubCore core_;
  bool asked_ = false;  // a step of the walk is under way
  std::map<std::string, Damage> damaged_;
  bool refilling_ = false;
  uint64_t found_ = 0, refilled_ = 0;
  std::string unread_;           // the first leaf of this pass that could not be read, and why
  std::string unread_last_;      // the same of the last pass
  base::Instant stored_{};       // when the position was
  std::shared_ptr<bool> alive_;  // watched by callbacks
};

}  // namespace lariat::repair
