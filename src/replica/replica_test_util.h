// SPDX-License-Identifier: Apache-2.0
// A replica on an engine in memory whose delays and faults the test chooses, and calls that keep
// what they were answered.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "replica/replica.h"
#include "storage/memory_engine.h"

namespace lariat::replica {

// One turn after another, only when the test says so.
class TestLoop final : public storage::CompletionQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override { tasks_.push_back(std::move(task)); }
  void RunAll() {
    while (!tasks_.empty()) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }
  void Clear() { tasks_.clear(); }

 private:
  std::deque<base::UniqueFunction<void()>> tasks_;
};

class TestPlan final : public storage::FaultPlan {
 public:
  explicit TestPlan(TestLoop* loop) : loop_(loop) {}
  void Schedule(storage::Operation operation, base::UniqueFunction<void()> task) override {
    const bool hold = operation == storage::Operation::kSync ? hold_syncs : hold_gets;
    if (!hold) return loop_->Post(std::move(task));
    held_.push_back(std::move(task));
  }
  bool MissMemory() override { return miss_memory; }
  bool FailRead() override { return fail_read; }
  base::Status FailWrite() override { return fail_write; }
  size_t BatchBytesMax() const override { return batch_bytes_max; }
  bool NearlyFull() override { return nearly_full; }
  bool FailSync() override { return fail_sync; }
  size_t LoseInCrash(size_t unsynced) override {
    return unsynced - std::min(unsynced, kept_in_crash);
  }
  void Release() {
    hold_syncs = hold_gets = false;
    for (auto& task : std::exchange(held_, {})) loop_->Post(std::move(task));
  }
  size_t held() const { return held_.size(); }

  bool miss_memory = false;
  bool fail_read = false;
  base::Status fail_write;
  size_t batch_bytes_max = SIZE_MAX;
  bool nearly_full = false;
  bool fail_sync = false;
  bool hold_syncs = false;
  bool hold_gets = false;
  size_t kept_in_crash = 0;  // of the batches that were not synced, the first ones

 private:
  TestLoop* loop_;
  std::vector<base::UniqueFunction<void()>> held_;
};

// What a call was answered; callbacks are counted, since each comes exactly once.
struct Updated {
  std::optional<base::Result<UpdateResult>> result;
  std::optional<base::Status> durable;
  int results = 0, durables = 0;

  bool ok() const { return result && result->has_value(); }
  base::Code code() const { return ok() ? base::Code::kOk : result->error().code; }
};
template <typename T>
struct Answer {
  std::optional<T> value;
  int times = 0;

  bool ok() const { return value && value->has_value(); }
  base::Code code() const { return ok() ? base::Code::kOk : value->error().code; }
};
using Written = Answer<base::Status>;
using Read = Answer<base::Result<ReadResult>>;

struct Put {
  std::string key = "k";
  std::string value = "v";
  causal::Context context = {};
  causal::Kind kind = causal::Kind::kSiblings;
  AckWhen ack_when = AckWhen::kSynced;
  causal::Condition condition = causal::Condition::kNone;
  std::string idempotency_key = {};
  size_t siblings_max = 100;
  std::optional<int64_t> client_timestamp_ms = {};
  bool tombstone = false;
  int64_t expires_ms = 0;
};

class World {
 public:
  World() { Start(); }

  // A new process on the same engine.
  void Start(causal::HlcStamp floor = {}, size_t queue_max = 1000) {
    replica_.reset();
    loop.Clear();
    clock = std::make_unique<Clock>(floor, 1000);
    clock->SetLimit(causal::HlcStamp::FromWallMs(int64_t{1} << 47));
    ReplicaOptions options;
    options.node = 1;
    options.incarnation = ++last_incarnation_;
    options.draw_incarnation = [this] { return ++last_incarnation_; };
    options.queue_max = queue_max;
    options.hints = hints;
    options.tree = tree;
    options.tree_bytes_per_s = tree_bytes_per_s;
    replica_ = std::make_unique<Replica>(std::move(options), engine, loop, *clock, metrics,
                                         telemetry::NullLog());
  }
  void Crash() {
    replica_.reset();
    engine.Crash();
    Start();
  }

  static KeyRef Ref(const std::string& key) { return {1, {42}, key}; }

  std::shared_ptr<Updated> Update(const Put& put) {
    UpdateRequest request;
    request.key = Ref(put.key);
    request.change.kind = put.kind;
    request.change.context = put.context;
    request.change.value.bytes = put.value;
    request.change.value.tombstone = put.tombstone;
    request.change.value.expires_ms = put.expires_ms;
    request.change.client_timestamp_ms = put.client_timestamp_ms;
    request.change.condition = put.condition;
    request.ack_when = put.ack_when;
    request.idempotency_key = put.idempotency_key;
    request.make_answer = [value = put.value](const causal::Object&, const UpdateResult&) {
      return "answer of " + value;
    };
    request.change.values_max = put.siblings_max;
    request.change.now = now;
    auto answer = std::make_shared<Updated>();
    replica_->Update(
        std::move(request),
        [this, answer](base::Result<UpdateResult> result) {
          if (result && !result->object.empty()) Register(result->object);
          answer->result = std::move(result);
          ++answer->results;
        },
        [answer](base::Status status) {
          answer->durable = std::move(status);
          ++answer->durables;
        });
    return answer;
  }
  std::shared_ptr<Written> Write(const std::string& key, std::string object,
                                 AckWhen when = AckWhen::kSynced,
                                 const std::string& idempotency_key = "",
                                 const std::string& answer_bytes = "") {
    auto answer = std::make_shared<Written>();
    replica_->Write(Ref(key), std::move(object), {when, idempotency_key, answer_bytes, now},
                    [answer](base::Status status) {
                      answer->value = std::move(status);
                      ++answer->times;
                    });
    return answer;
  }
  std::shared_ptr<replica::Read> Read(const std::string& key, bool digest_only = false,
                                      const std::string& idempotency_key = "") {
    auto answer = std::make_shared<replica::Read>();
    replica_->Read(Ref(key), {digest_only, idempotency_key},
                   [answer](base::Result<ReadResult> result) {
                     answer->value = std::move(result);
                     ++answer->times;
                   });
    return answer;
  }
  // Values of the key as a reader gets them, sorted by dot.
  std::vector<std::string> Values(const std::string& key = "k") {
    const auto answer = Read(key);
    loop.RunAll();
    if (!answer->ok()) return {"error " + std::string(base::CodeName(answer->code()))};
    return ValuesIn((*answer->value)->object);
  }
  std::vector<std::string> ValuesIn(const std::string& object) const {
    std::vector<std::string> values;
    if (object.empty()) return values;
    const auto decoded = causal::Object::Decode(object).value();
    for (const causal::ValueView& view : decoded.LiveValues(now)) {
      values.push_back(view.value->bytes);
    }
    return values;
  }
  void Tick() { replica_->Tick(time += base::Millis(5)); }
  // Until nothing is left to be done in the background.
  void Settle() {
    for (int i = 0; i < 10; ++i) {
      Tick();
      loop.RunAll();
    }
  }
  size_t Waiting() const { return replica_->Waiting(); }
  Replica& replica() { return *replica_; }

  TestLoop loop;
  TestPlan plan{&loop};
  storage::MemoryEngine engine{&plan};
  telemetry::Metrics metrics;
  std::unique_ptr<Clock> clock;
  base::WallTime now{1'000'000};
  base::Instant time{};
  TreeOptions tree;  // of the next start
  uint64_t tree_bytes_per_s = 1 << 30;
  std::shared_ptr<HintBudget> hints = std::make_shared<HintBudget>();  // co-owned by the replica
  // Every dot that ever left a replica and the value that it stood for (M2).
  std::map<causal::Dot, std::string> dots;

 private:
  void Register(const std::string& object) {
    const auto decoded = causal::Object::Decode(object).value();
    if (decoded.dvv() == nullptr) return;
    for (const causal::DottedValue& value : decoded.dvv()->values()) {
      const auto [at, is_new] = dots.emplace(value.dot, value.value.bytes);
      EXPECT_EQ(at->second, value.value.bytes) << "one dot for two values";
    }
  }

  uint64_t last_incarnation_ = 100;
  std::unique_ptr<Replica> replica_;
};

// The object that a peer would send: one value by an actor of its own.
inline std::string PeerObject(const std::string& value, uint64_t peer = 2) {
  causal::Object object(causal::Kind::kSiblings);
  object.dvv()->Update({}, {.bytes = value}, {peer, 1, 1});
  return object.Encode();
}

inline causal::Actor ActorOf(const Updated& updated, const std::string& value) {
  const auto object = causal::Object::Decode((*updated.result)->object).value();
  for (const causal::DottedValue& v : object.dvv()->values()) {
    if (v.value.bytes == value) return v.dot.actor;
  }
  ADD_FAILURE() << "the value is not in the object";
  return {};
}

}  // namespace lariat::replica
