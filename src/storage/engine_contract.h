// SPDX-License-Identifier: Apache-2.0
// The contract of storage::Engine as a test suite. A test program includes this once and
// instantiates EngineContract with a maker for each engine it has.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "storage/engine.h"
#include "storage/engine_test_calls.h"

namespace lariat::storage::contract {

// One engine under test, and how it is stopped and started again on the same data.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual Engine* engine() = 0;
  virtual TestQueue* queue() = 0;
  virtual void Restart() = 0;
};

struct SubjectMaker {
  std::string name;
  std::function<std::unique_ptr<Subject>()> make;
};

class EngineContract : public testing::TestWithParam<SubjectMaker> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    ASSERT_NE(subject_, nullptr);
  }
  Engine* engine() { return subject_->engine(); }
  TestQueue* queue() { return subject_->queue(); }
  void Put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(PutOne(engine(), Space::kData, key, value).has_value());
  }
  void Remove(const std::string& key) {
    WriteBatch batch;
    batch.Remove(Space::kData, key);
    ASSERT_TRUE(engine()->Write(batch).has_value());
  }
  // "value", or the code's name.
  std::string Read(const std::string& key, Space space = Space::kData) {
    const auto result = GetAndWait(engine(), queue(), space, key);
    return result.has_value() ? *result : std::string(base::CodeName(result.error().code));
  }
  // "key=value key=value"
  std::string ScanText(const std::string& from, const std::string& to, ScanLimits limits = {}) {
    const auto result = ScanAndWait(engine(), queue(), from, to, limits);
    if (!result.has_value()) return std::string(base::CodeName(result.error().code));
    std::string text;
    for (const Entry& entry : *result) {
      if (!text.empty()) text += ' ';
      text += entry.key + '=' + entry.value;
    }
    return text;
  }

  const std::string absent_{base::CodeName(base::Code::kNotFound)};
  std::unique_ptr<Subject> subject_;
};

TEST_P(EngineContract, EveryReadSeesAWriteAtOnce) {
  Put("k", "v1");
  Put("k", "v2");
  std::string value;
  base::Error error;
  EXPECT_EQ(engine()->TryGet(Space::kData, "k", &value, &error), Lookup::kFound);
  EXPECT_EQ(value, "v2");
  EXPECT_EQ(Read("k"), "v2");
  EXPECT_EQ(engine()->GetBlocking(Space::kData, "k").value(), "v2");
  EXPECT_EQ(ScanText("", ""), "k=v2");
  EXPECT_EQ(engine()->health(), Health::kOk);
}

TEST_P(EngineContract, AbsentAndRemovedKeysAreNotFound) {
  std::string value;
  base::Error error;
  EXPECT_EQ(engine()->TryGet(Space::kData, "k", &value, &error), Lookup::kAbsent);
  EXPECT_EQ(Read("k"), absent_);
  Put("k", "v");
  Remove("k");
  EXPECT_EQ(engine()->TryGet(Space::kData, "k", &value, &error), Lookup::kAbsent);
  EXPECT_EQ(Read("k"), absent_);
  EXPECT_EQ(engine()->GetBlocking(Space::kData, "k").error().code, base::Code::kNotFound);
  EXPECT_EQ(ScanText("", ""), "");
}

TEST_P(EngineContract, EmptyValuesAndBinaryKeysAreKept) {
  const std::string key("\0\xff\0", 3);
  Put(key, "");
  EXPECT_EQ(Read(key), "");
  EXPECT_EQ(Read(std::string("\0\xff", 2)), absent_);
}

TEST_P(EngineContract, SpacesAreSeparate) {
  for (const Space space : {Space::kData, Space::kMeta, Space::kIdempotency, Space::kHints,
                            Space::kTree, Space::kQuarantine}) {
    ASSERT_TRUE(PutOne(engine(), space, "k", std::to_string(static_cast<int>(space))).has_value());
  }
  Remove("k");
  EXPECT_EQ(Read("k", Space::kData), absent_);
  EXPECT_EQ(Read("k", Space::kMeta), "1");
  EXPECT_EQ(Read("k", Space::kIdempotency), "2");
}

TEST_P(EngineContract, OperationsOfABatchApplyInOrder) {
  WriteBatch batch;
  batch.Put(Space::kData, "a", "1");
  batch.Remove(Space::kData, "a");
  batch.Put(Space::kData, "b", "1");
  batch.Put(Space::kData, "b", "2");
  batch.Remove(Space::kData, "c");
  batch.Put(Space::kData, "c", "3");
  EXPECT_EQ(batch.bytes, 10U);
  ASSERT_TRUE(engine()->Write(batch).has_value());
  EXPECT_EQ(ScanText("", ""), "b=2 c=3");
}

TEST_P(EngineContract, AnEmptyBatchIsFine) {
  EXPECT_TRUE(engine()->Write(WriteBatch()).has_value());
  EXPECT_TRUE(SyncAndWait(engine(), queue()).has_value());
}

TEST_P(EngineContract, ScanKeepsItsBounds) {
  for (const char* key : {"a", "b", "ba", "c", "\xff"}) Put(key, "1");
  EXPECT_EQ(ScanText("", ""), "a=1 b=1 ba=1 c=1 \xff=1");
  EXPECT_EQ(ScanText("b", "c"), "b=1 ba=1");
  EXPECT_EQ(ScanText("aa", "ba"), "b=1");
  EXPECT_EQ(ScanText("c", "c"), "");
  EXPECT_EQ(ScanText("d", "b"), "");
  EXPECT_EQ(ScanText("c", ""), "c=1 \xff=1");
}

TEST_P(EngineContract, ScanKeepsItsLimits) {
  for (const char* key : {"a", "b", "c"}) Put(key, "12345");
  EXPECT_EQ(ScanText("", "", {.entries_max = 2}), "a=12345 b=12345");
  EXPECT_EQ(ScanText("", "", {.bytes_max = 12}), "a=12345 b=12345");
  EXPECT_EQ(ScanText("", "", {.bytes_max = 11}), "a=12345");
  EXPECT_EQ(ScanText("", "", {.bytes_max = 1}), "a=12345") << "a scan must always get further";
  EXPECT_EQ(ScanText("", "", {.entries_max = 0}), "");
}

TEST_P(EngineContract, ScanIsASnapshotOfItsStart) {
  Put("a", "old");
  Put("b", "old");
  std::optional<base::Result<std::vector<Entry>>> answer;
  engine()->Scan(Space::kData, "", "", {}, queue(),
                 [&](base::Result<std::vector<Entry>> result) { answer = std::move(result); });
  Put("a", "new");
  Remove("b");
  Put("c", "new");
  ASSERT_TRUE(queue()->RunUntil([&] { return answer.has_value(); }));
  ASSERT_TRUE(answer->has_value());
  ASSERT_EQ((*answer)->size(), 2U);
  EXPECT_EQ((**answer)[0].value, "old");
  EXPECT_EQ((**answer)[1].key, "b");
}

TEST_P(EngineContract, CompletionsNeverRunOnTheCallersStack) {
  int completed = 0;
  engine()->Get(Space::kData, "k", queue(), [&](auto) { ++completed; });
  engine()->Scan(Space::kData, "", "", {}, queue(), [&](auto) { ++completed; });
  engine()->Sync(queue(), [&](auto) { ++completed; });
  EXPECT_EQ(completed, 0);
  EXPECT_TRUE(queue()->RunUntil([&] { return completed == 3; }));
}

TEST_P(EngineContract, EverySyncIsAnswered) {
  int answered = 0;
  for (int i = 0; i < 200; ++i) {
    Put("k" + std::to_string(i), "v");
    engine()->Sync(queue(), [&](base::Status status) { answered += status.has_value() ? 1 : 0; });
  }
  EXPECT_TRUE(queue()->RunUntil([&] { return answered == 200; }));
}

TEST_P(EngineContract, WhatWasSyncedSurvivesARestart) {
  WriteBatch batch;
  for (int i = 0; i < 100; ++i) batch.Put(Space::kData, "k" + std::to_string(i), "v");
  batch.Put(Space::kMeta, "identity", "me");
  ASSERT_TRUE(engine()->Write(batch).has_value());
  Remove("k7");
  ASSERT_TRUE(FlushAndWait(engine(), queue(), Space::kData).has_value());
  ASSERT_TRUE(SyncAndWait(engine(), queue()).has_value());
  subject_->Restart();
  EXPECT_EQ(Read("k99"), "v");
  EXPECT_EQ(Read("k7"), absent_);
  EXPECT_EQ(engine()->GetBlocking(Space::kMeta, "identity").value(), "me");
}

TEST_P(EngineContract, WhatIsApartIsReplacedAsAWhole) {
  EXPECT_EQ(engine()->ReadApart().error().code, base::Code::kNotFound);
  ASSERT_TRUE(WriteApartAndWait(engine(), queue(), std::string(100000, 'x')).has_value());
  subject_->Restart();
  EXPECT_EQ(engine()->ReadApart().value(), std::string(100000, 'x'));
  int answered = 0;
  for (const char* bytes : {"1", "2", "3"}) {  // nobody waits between them
    engine()->WriteApart(bytes, queue(), [&](base::Status status) { answered += status ? 1 : 0; });
  }
  ASSERT_TRUE(queue()->RunUntil([&] { return answered == 3; }));
  EXPECT_EQ(engine()->ReadApart().value(), "3");
  subject_->Restart();
  EXPECT_EQ(engine()->ReadApart().value(), "3");
}

// As when a bucket is deleted. An engine without files has nothing to give back.
TEST_P(EngineContract, TheRoomOfWhatWasRemovedIsGivenBack) {
  base::Prng random(3);
  constexpr int kRecords = 400;
  const auto write = [&](const WriteBatch& batch) {
    base::Status status = engine()->Write(batch);
    for (; !status && status.error().code == base::Code::kStalled;
         status = engine()->Write(batch)) {
      ASSERT_TRUE(SyncAndWait(engine(), queue()).has_value());
    }
    ASSERT_TRUE(status.has_value());
  };
  for (int i = 0; i < kRecords; ++i) {
    std::string value(10000, ' ');  // that cannot be compressed
    for (char& c : value) c = static_cast<char>(random.Below(256));
    WriteBatch batch;
    batch.Put(Space::kData, "k" + std::to_string(1000 + i), std::move(value));
    write(batch);
  }
  ASSERT_TRUE(FlushAndWait(engine(), queue(), Space::kData).has_value());
  const uint64_t before = engine()->Stats().disk_bytes;
  for (int i = 0; i < kRecords; ++i) {
    WriteBatch batch;
    batch.Remove(Space::kData, "k" + std::to_string(1000 + i));
    write(batch);
  }
  engine()->FreeRemoved();
  const auto freed = [&] { return engine()->Stats().disk_bytes <= before / 4; };
  for (int looks = 0; looks < 6000 && !freed(); ++looks) {  // nobody tells of it
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(freed()) << engine()->Stats().disk_bytes << " of " << before;
}

// A std::map walked next to the engine.
TEST_P(EngineContract, AgreesWithAModel) {
  base::Prng random(20260101);
  std::map<std::string, std::string> model;
  for (int step = 0; step < 1500; ++step) {
    WriteBatch batch;
    for (uint64_t i = random.Below(4); i > 0; --i) {
      const std::string key = "k" + std::to_string(random.Below(60));
      if (random.Chance(0.3)) {
        batch.Remove(Space::kData, key);
        model.erase(key);
      } else {
        const std::string value(random.Below(300), static_cast<char>('a' + random.Below(26)));
        batch.Put(Space::kData, key, value);
        model[key] = value;
      }
    }
    ASSERT_TRUE(engine()->Write(batch).has_value());
    const std::string key = "k" + std::to_string(random.Below(60));
    const auto it = model.find(key);
    ASSERT_EQ(Read(key), it == model.end() ? absent_ : it->second);
    if (step % 10 == 0) {
      const std::string to = "k" + std::to_string(random.Below(60));
      std::string expected;
      for (auto at = model.lower_bound(key); at != model.end() && at->first < to; ++at) {
        expected += (expected.empty() ? "" : " ") + at->first + '=' + at->second;
      }
      ASSERT_EQ(ScanText(key, to), expected);
    }
    if (step % 500 == 499) {
      ASSERT_TRUE(SyncAndWait(engine(), queue()).has_value());
      subject_->Restart();
    }
  }
}

inline std::string SubjectName(const testing::TestParamInfo<SubjectMaker>& maker) {
  return maker.param.name;
}

}  // namespace lariat::storage::contract
