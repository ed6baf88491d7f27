// SPDX-License-Identifier: Apache-2.0
// What is found again: after a clean stop, a kill and a loss of power, by this engine, by RocksDB's
// own and by programs that do not know of the other log.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "storage/log_engine/internal/test_store.h"

namespace lariat::storage::log_engine {
namespace {

using internal::Eventually;
using internal::Key;
using internal::Value;
namespace fs = std::filesystem;

constexpr EngineKind kBoth[] = {EngineKind::kRocksDb, EngineKind::kLog};
const std::string kAbsent(base::CodeName(base::Code::kNotFound));

TEST_F(StoreTest, EitherEngineOpensWhatTheOtherHasStopped) {
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(Open(kBoth[i % 2])) << i;
    EXPECT_EQ(fs::exists(log()), i % 2 == 1);
    for (int before = 0; before < i; ++before) {
      EXPECT_EQ(Get("key" + std::to_string(before)), "v") << i;
      EXPECT_EQ(Get("meta" + std::to_string(before), Space::kMeta), "m") << i;
    }
    EXPECT_EQ(Get("removed"), kAbsent) << i;
    EXPECT_FALSE(engine_->Stats().log_truncated) << i;
    Put("key" + std::to_string(i), "v");
    Put("meta" + std::to_string(i), "m", Space::kMeta);
    Put("removed", "v");
    WriteBatch removal;
    removal.Remove(Space::kData, "removed");
    ASSERT_TRUE(engine_->Write(removal));
  }
}

TEST_F(StoreTest, ACleanStopLeavesAStoreOfRocksDbAlone) {
  ASSERT_TRUE(Open(EngineKind::kLog));
  for (size_t space = 0; space < kSpaces; ++space) Put("k", "v", static_cast<Space>(space));
  Put("k", "w");
  OpenAsOthers();
  EXPECT_EQ(Get("k"), "w");
  for (size_t space = 1; space < kSpaces; ++space) {
    EXPECT_EQ(Get("k", static_cast<Space>(space)), "v");
  }
  EXPECT_FALSE(engine_->Stats().log_truncated);
  Put("k", "x");
  ASSERT_TRUE(Open(EngineKind::kLog));
  EXPECT_EQ(Get("k"), "x") << "the log that was there is older";
  EXPECT_FALSE(engine_->Stats().log_truncated);
}

// Guards M3: 8 kills.
TEST_F(StoreTest, AKillLosesNothingThatWasAnswered) {
  int written = 0;
  for (int round = 0; round < 8; ++round) {
    ASSERT_TRUE(Open(EngineKind::kLog));
    for (int i = 0; i < 50; ++i) Put(Key(written++), Value(i));
    if (round % 3 == 0) Sync();
    if (round % 3 == 1) Flush();
    for (int i = 0; i < 7; ++i) Put(Key(written++), "behind");  // nobody asks for a sync
    Kill();
    ASSERT_TRUE(Open(kBoth[round / 2 % 2]));
    EXPECT_FALSE(engine_->Stats().log_truncated);
    for (int i = 0; i < written; ++i) ASSERT_NE(Get(Key(i)), kAbsent) << i;
  }
}

// What was told durable is there after a loss of power, and all before it. Gives how much is not.
class PowerTest : public StoreTest {
 protected:
  int LostAfterPowerFailures() {
    forgets_ = true;
    base::Prng random(7);
    int lost = 0;
    int written = 0;
    for (int round = 0; round < 6; ++round) {
      const bool lies = std::exchange(lies_, false);
      EXPECT_TRUE(Open(EngineKind::kLog));
      lies_ = lies;
      int durable = written;
      for (uint64_t i = 10 + random.Below(40); i > 0; --i) {
        WriteBatch batch;  // two keys, both or none
        batch.Put(Space::kData, Key(written), "v");
        batch.Put(Space::kMeta, Key(written), "m");
        batch.sync_follows = random.Chance(0.5);
        EXPECT_TRUE(engine_->Write(batch));
        ++written;
        if (!random.Chance(0.3)) continue;
        Sync();
        durable = written;
      }
      if (random.Chance(0.3)) {
        Flush();
        durable = written;
      }
      Kill();
      EXPECT_TRUE(Open(EngineKind::kLog));
      bool gap = false;
      for (int i = 0; i < written; ++i) {
        const bool there = Get(Key(i)) == "v";
        EXPECT_EQ(Get(Key(i), Space::kMeta) == "m", there) << "half a batch";
        EXPECT_FALSE(there && gap) << "a later write without an earlier one";
        gap = gap || !there;
        lost += i < durable && !there ? 1 : 0;
      }
      while (written > 0 && Get(Key(written - 1)) != "v") --written;
    }
    return lost;
  }
};

// Guards M3: 6 losses of power.
TEST_F(PowerTest, WhatWasToldDurableIs) { EXPECT_EQ(LostAfterPowerFailures(), 0); }

TEST_F(PowerTest, ASyncThatIsAnsweredBeforeTheWriteIsFound) {
  ASSERT_TRUE(Open(EngineKind::kLog));  // makes the log
  lies_ = true;
  EXPECT_GT(LostAfterPowerFailures(), 0);
}

// --- programs that do not know of the log ------------------------------------------------------

// Guards M39.
TEST_F(StoreTest, OtherProgramsFindTheirLogCutAfterAKill) {
  ASSERT_TRUE(Open(EngineKind::kLog));
  Put("k", "in the log alone");
  Sync();
  Kill();
  OpenAsOthers();
  EXPECT_TRUE(engine_->Stats().log_truncated);
}

// The other program is stopped, or killed at once, before it has noted that it was there.
TEST_F(StoreTest, ALogIsNotAppliedOverWhatOthersWrote) {
  for (const bool killed : {false, true}) {
    for (const EngineKind kind : kBoth) {
      ASSERT_TRUE(Open(EngineKind::kLog));
      Put("k", "old");
      Put("other", "old");
      Sync();
      Kill();
      OpenAsOthers();
      Put("k", "new");
      Sync();
      if (killed) {
        Kill();
      }
      ASSERT_TRUE(Open(kind));
      EXPECT_EQ(Get("k"), "new") << killed;
      EXPECT_TRUE(engine_->Stats().log_truncated) << "what the log held is lost";
      Kill();  // and it stays so, until it was noted
      ASSERT_TRUE(Open(EngineKind::kLog));
      EXPECT_EQ(Get("k"), "new");
      EXPECT_TRUE(engine_->Stats().log_truncated);
      WriteBatch noted;
      noted.Remove(Space::kMeta, std::string(kLogCutKey));
      ASSERT_TRUE(engine_->Write(noted));
      Kill();
      ASSERT_TRUE(Open(EngineKind::kLog));
      EXPECT_FALSE(engine_->Stats().log_truncated);
    }
  }
}

TEST_F(StoreTest, ALogThatIsGoneIsMissed) {
  ASSERT_TRUE(Open(EngineKind::kLog));
  Put("k", "v");
  Sync();
  Kill();
  fs::remove_all(log());
  ASSERT_TRUE(Open(EngineKind::kLog));
  EXPECT_TRUE(engine_->Stats().log_truncated);
  Put("k", "v");
}

TEST_F(StoreTest, AnEmptyLogGetsTheSizeThatIsAskedFor) {
  ASSERT_TRUE(Open(EngineKind::kLog));
  Put("k", "v");
  options_.log_bytes = 16 << 20;
  Kill();
  ASSERT_TRUE(Open(EngineKind::kLog));
  EXPECT_EQ(Get("k"), "v");
  EXPECT_EQ(fs::file_size(log() + "/slot-0"), 1U << 20) << "it was not empty";
  ASSERT_TRUE(Open(EngineKind::kLog));
  EXPECT_EQ(fs::file_size(log() + "/slot-0"), 2U << 20);
  EXPECT_EQ(Get("k"), "v");
}

// --- damage ------------------------------------------------------------------------------------

class DamageTest : public StoreTest {
 protected:
  static void Damage(const std::string& file, int kind, uint64_t at) {
    if (kind == 0) return internal::FlipByteOf(file, at);
    if (kind == 1) return fs::resize_file(file, at);
    fs::remove(file);
  }
};

// Guards M39: 60 places.
TEST_F(DamageTest, ADamagedLogIsReadToThereAndSaysSo) {
  constexpr int kKeys = 120;
  ASSERT_TRUE(Open(EngineKind::kLog));
  for (int i = 0; i < kKeys; ++i) {
    Put(Key(i), Value(i));
    if (i % 10 == 9) Sync();
  }
  // The last group has no witness before the log goes on.
  Put("last", "v");
  Sync();
  Kill();
  const std::string whole = options_.files.directory;
  const uint64_t used = kKeys * 1100;
  int cut = 0;
  for (int place = 0; place < 20; ++place) {
    for (int kind = 0; kind < 3; ++kind) {
      options_.files.directory = whole + "-broken";
      fs::remove_all(options_.files.directory);
      fs::copy(whole, options_.files.directory, fs::copy_options::recursive);
      Damage(log() + "/slot-1", kind, used * static_cast<uint64_t>(place) / 20);
      ASSERT_TRUE(Open(EngineKind::kLog));
      const bool doubt = engine_->Stats().log_truncated;
      cut += doubt ? 1 : 0;
      bool gap = false;
      for (int i = 0; i < kKeys; ++i) {
        const std::string value = Get(Key(i));
        EXPECT_TRUE(value == Value(i) || (doubt && value == kAbsent)) << place << " " << kind;
        EXPECT_FALSE(gap && value != kAbsent);
        gap = gap || value == kAbsent;
      }
      Kill();  // said until somebody has taken note
      ASSERT_TRUE(Open(EngineKind::kLog));
      EXPECT_EQ(engine_->Stats().log_truncated, doubt);
      engine_.reset();
    }
  }
  EXPECT_GT(cut, 50);
}

// A tombstone that was confirmed and removed: wherever the log is cut, the value that it deleted
// does not come back.
// Guards M12: a log cut at 19 places.
TEST_F(DamageTest, WhatWasFlushedIsNotTakenBack) {
  ASSERT_TRUE(Open(EngineKind::kLog));
  const auto fill = [&](const std::string& name) {
    for (int i = 0; i < 20; ++i) Put(name + std::to_string(i), Value(i), Space::kMeta);
  };
  Put("key", "value");
  fill("a");
  Put("key", "tombstone");
  fill("b");
  Flush();
  fill("c");
  WriteBatch purge;
  purge.Remove(Space::kData, "key");
  ASSERT_TRUE(engine_->Write(purge));
  fill("d");
  Sync();
  Kill();
  const std::string whole = options_.files.directory;
  for (int place = 1; place < 20; ++place) {
    options_.files.directory = whole + "-broken";
    fs::remove_all(options_.files.directory);
    fs::copy(whole, options_.files.directory, fs::copy_options::recursive);
    internal::FlipByteOf(log() + "/slot-1", 90'000ULL * place / 20);
    ASSERT_TRUE(Open(EngineKind::kLog));
    const std::string key = Get("key");
    EXPECT_TRUE(key == "tombstone" || key == kAbsent) << place << " " << key;
    engine_.reset();
  }
}

// Guards M37.
TEST_F(StoreTest, WhatTheLogCouldNotKeepIsNotServed) {
  internal::DiskFaults faults;
  engine_ = OpenLogEngineIn(options_, TestWorld(&faults)).value();
  Put("kept", "v");
  Put("k", "old");
  Sync();
  Flush();
  faults.fail_log_append = true;
  EXPECT_EQ(contract::PutOne(engine_.get(), Space::kData, "k", "new").error().code,
            base::Code::kIo);
  std::string value;
  base::Error error;
  EXPECT_EQ(engine_->TryGet(Space::kData, "k", &value, &error), Lookup::kError);
  EXPECT_EQ(Get("kept"), "v");
  EXPECT_FALSE(contract::ScanAndWait(engine_.get(), &queue_, "", ""));
  EXPECT_EQ(engine_->health(), Health::kDead);
}

TEST_F(StoreTest, ASalvagedStoreHasNoHashTreesAndKeepsItsLog) {
  ASSERT_TRUE(Open(EngineKind::kLog));
  for (int i = 0; i < 300; ++i) Put(Key(i), Value(i));
  Put("leaf", "in files", Space::kTree);
  Flush();
  Put("leaf2", "in the log", Space::kTree);
  Put("new", "v");
  Sync();
  Kill();
  std::ofstream(options_.files.directory + "/SALVAGE") << "damaged - told by a test\n";
  ASSERT_TRUE(Open(EngineKind::kLog));
  EXPECT_TRUE(engine_->Stats().salvaged);
  EXPECT_FALSE(engine_->Stats().log_truncated);
  EXPECT_EQ(Get("new"), "v");
  for (int i = 0; i < 300; ++i) EXPECT_EQ(Get(Key(i)), Value(i));
  EXPECT_EQ(Get("leaf", Space::kTree), kAbsent);
  EXPECT_EQ(Get("leaf2", Space::kTree), kAbsent) << "half of a tree";
  WriteBatch noted;
  noted.Remove(Space::kMeta, std::string(kSalvagedKey));
  ASSERT_TRUE(engine_->Write(noted));
  ASSERT_TRUE(Open(EngineKind::kLog));
  EXPECT_FALSE(engine_->Stats().salvaged);
}

// --- many threads ------------------------------------------------------------------------------

// One shard's keys, which no other writes, in the engine and in a map. Its values are large enough
// for flushes and evictions to go on all the time.
class ShardModel {
 public:
  ShardModel(Engine* engine, int shard)
      : engine_(engine), shard_(shard), random_(static_cast<uint64_t>(shard) + 1) {}

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      switch (random_.Below(8)) {
        case 0:
          Scan();
          break;
        case 1:
        case 2:
          EXPECT_EQ(Read(RandomKey()), last_) << shard_;
          break;
        default:
          WriteSome();
      }
    }
  }
  void CheckAll(Engine* engine) {
    engine_ = engine;
    for (int i = 0; i < kKeys; ++i) EXPECT_EQ(Read(KeyOf(i)), last_) << shard_ << " " << i;
    Scan();
  }

 private:
  static constexpr int kKeys = 600;

  // Buckets by shard; tokens spread over all parts.
  std::string KeyOf(int i) const {
    base::Prng token(static_cast<uint64_t>(i));
    std::string key{'\0', '\0', '\0', static_cast<char>(shard_)};
    for (int byte = 0; byte < 8; ++byte) key += static_cast<char>(token.Next());
    return key + std::to_string(i);
  }
  std::string RandomKey() { return KeyOf(static_cast<int>(random_.Below(kKeys))); }
  void WriteSome() {
    WriteBatch batch;
    for (uint64_t i = 1 + random_.Below(5); i > 0; --i) {
      const std::string key = RandomKey();
      if (random_.Chance(0.2)) {
        batch.Remove(Space::kData, key);
        model_.erase(key);
      } else {
        model_[key] = std::string(random_.Below(9000), static_cast<char>('a' + random_.Below(26)));
        batch.Put(Space::kData, key, model_[key]);
      }
    }
    const bool sync = random_.Chance(0.2);
    batch.sync_follows = sync && random_.Chance(0.8);
    EXPECT_TRUE(Eventually([&] { return engine_->Write(batch).has_value(); }));
    const bool synced = !sync || contract::SyncAndWait(engine_, &queue_);
    const bool flushed =
        !random_.Chance(0.01) || contract::FlushAndWait(engine_, &queue_, Space::kData).has_value();
    EXPECT_TRUE(synced && flushed);
  }
  // And puts what it should be into last_.
  std::string Read(const std::string& key) {
    const auto it = model_.find(key);
    last_ = it == model_.end() ? kAbsent : it->second;
    std::string value;
    base::Error error;
    const Lookup looked = engine_->TryGet(Space::kData, key, &value, &error);
    if (looked == Lookup::kFound) return value;
    if (looked == Lookup::kAbsent) return kAbsent;
    const auto read = contract::GetAndWait(engine_, &queue_, Space::kData, key);
    return read ? *read : std::string(base::CodeName(read.error().code));
  }
  void Scan() {
    std::string from = RandomKey();
    const std::string to = random_.Chance(0.5)
                               ? RandomKey()
                               : std::string{'\0', '\0', '\0', static_cast<char>(shard_ + 1)};
    auto expected = model_.lower_bound(from);
    while (true) {
      const ScanLimits limits{.entries_max = 1 + random_.Below(200), .bytes_max = 1 << 20};
      const auto page = contract::ScanAndWait(engine_, &queue_, from, to, limits);
      ASSERT_TRUE(page);
      if (page->empty()) break;
      for (const Entry& entry : *page) {
        ASSERT_TRUE(expected != model_.end());
        ASSERT_EQ(entry.key, expected->first);
        ASSERT_EQ(entry.value, expected->second);
        ++expected;
      }
      from = page->back().key + '\0';
    }
    EXPECT_TRUE(expected == model_.end() || expected->first >= to || to < from);
  }

  Engine* engine_;
  const int shard_;
  base::Prng random_;
  std::map<std::string, std::string> model_;
  std::string last_;
  internal::SharedQueue queue_;
};

TEST_F(StoreTest, ShardsAgreeWithTheirModelsSlow) {
  options_.table_bytes = 8 << 20;
  options_.files.block_cache_bytes = 1 << 20;
  ASSERT_TRUE(Open(EngineKind::kLog));
  std::vector<std::unique_ptr<ShardModel>> shards;
  shards.reserve(3);
  for (int i = 0; i < 3; ++i) shards.push_back(std::make_unique<ShardModel>(engine_.get(), i));
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    threads.reserve(shards.size());
    for (auto& shard : shards) threads.emplace_back([&shard] { shard->Run(1500); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(engine_->Stats().flushes, 3U);
    EXPECT_EQ(engine_->health(), Health::kOk);
    if (round == 1) Flush();
    Kill();
    ASSERT_TRUE(Open(EngineKind::kLog));
    EXPECT_FALSE(engine_->Stats().log_truncated);
    for (auto& shard : shards) shard->CheckAll(engine_.get());
  }
  engine_.reset();  // before the shards' queues
}

// --- memory ------------------------------------------------------------------------------------

// Four times as much data as the tables and the cache may have; keys whose tokens are spread.
TEST_F(StoreTest, MoreDataThanMemoryIsWrittenAndReadBackSlow) {
  options_.table_bytes = 8 << 20;
  options_.files.block_cache_bytes = 2 << 20;
  ASSERT_TRUE(Open(EngineKind::kLog));
  constexpr int kKeys = 40'000;
  const auto key = [](int i) {
    base::Prng random(static_cast<uint64_t>(i));
    std::string bytes("\0\0\0\x01", 4);
    const uint64_t token = random.Next();
    bytes.append(reinterpret_cast<const char*>(&token), sizeof token);
    return bytes + std::to_string(i);
  };
  for (int i = 0; i < kKeys; ++i) {
    PutPatiently(key(i), Value(i));
    if (i % 1000 == 0) {
      EXPECT_LE(engine_->Stats().table_bytes, options_.table_bytes + (1 << 20));
    }
  }
  EXPECT_GT(engine_->Stats().flushes, 4U);
  Kill();
  ASSERT_TRUE(Open(EngineKind::kLog));
  int answered = 0;
  int right = 0;
  for (int i = 0; i < kKeys; ++i) {
    engine_->Get(Space::kData, key(i), &queue_, [&, i](base::Result<std::string> value) {
      ++answered;
      right += value && *value == Value(i) ? 1 : 0;
    });
    if (i % 64 == 63) {
      ASSERT_TRUE(queue_.RunUntil([&] { return answered == i + 1; }));
    }
  }
  EXPECT_EQ(right, kKeys);
  const EngineStats stats = engine_->Stats();
  EXPECT_LE(stats.table_bytes, options_.table_bytes + (1 << 20));
  EXPECT_GT(stats.table_evicted, 0U);
  EXPECT_GT(stats.table_misses, 0U);
  int scanned = 0;
  std::string from;
  while (true) {
    const auto page = contract::ScanAndWait(engine_.get(), &queue_, from, "");
    ASSERT_TRUE(page);
    if (page->empty()) break;
    scanned += static_cast<int>(page->size());
    from = page->back().key + '\0';
  }
  EXPECT_EQ(scanned, kKeys);
}

}  // namespace
}  // namespace lariat::storage::log_engine
