// SPDX-License-Identifier: Apache-2.0
#include "topology/topology_record.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/hash.h"
#include "peers/peers_test_util.h"

namespace lariat::topology {
namespace {

using peers::Plan;
using peers::TestTime;
using storage::Space;

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text.push_back(static_cast<char>(byte));
  return text;
}

membership::Topology Document(uint64_t epoch) {
  membership::Topology topology;
  topology.cluster = {1, 2};
  topology.epoch = topology.fence = epoch;
  topology.sealed = true;
  membership::Member member;
  member.id = {3, 4};
  member.name = "node1";
  member.peer = "h:1";
  member.tokens = {{5}};
  topology.members.push_back(member);
  topology.founder = member.id;
  return topology;
}

TopologyRecord::Stored Sample() {
  TopologyRecord::Stored stored;
  stored.topology = Document(7);
  stored.votes.epoch = 8;
  stored.votes.state.promised = {9, 1, 1};
  stored.votes.state.accepted = {9, 1, 1};
  stored.votes.state.value = "v";
  return stored;
}

TEST(TopologyRecordBytes, Golden) {
  TopologyRecord::Stored stored;
  stored.votes.epoch = 8;
  stored.votes.state.promised = {258, 3, 4};
  stored.votes.lost = true;
  stored.stores = 5;
  std::string expected = "LARTOPO2" + Bytes({5, 0, 0, 0, 0, 0, 0, 0}) +
                         Bytes({1, 58, 8, 0, 0, 0, 0, 0, 0, 0}) +  // votes: 58 bytes
                         Bytes({1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3}) +
                         Bytes({0, 0, 0, 0, 0, 0, 0, 4}) + std::string(24, '\0') + '\0' +
                         Bytes({0, 0});  // no document, not expelled
  base::ByteWriter(&expected).U64(base::Hash64(expected));
  EXPECT_EQ(EncodeTopologyRecord(stored), expected);
  // As the build before wrote it.
  std::string before = "LARTOPO1" + expected.substr(16, expected.size() - 24);
  base::ByteWriter(&before).U64(base::Hash64(before));
  const auto read = DecodeTopologyRecord(before);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->stores, 0U);
  EXPECT_EQ(read->votes.state, stored.votes.state);
}

TEST(TopologyRecordBytes, WhatIsWrittenIsReadAndNothingElse) {
  TopologyRecord::Stored stored = Sample();
  stored.expelled_by = Document(9);
  const std::string bytes = EncodeTopologyRecord(stored);
  const auto read = DecodeTopologyRecord(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(EncodeTopologyRecord(*read), bytes);
  EXPECT_EQ(read->topology->epoch, 7U);
  EXPECT_EQ(read->expelled_by->epoch, 9U);
  EXPECT_EQ(read->votes.state, stored.votes.state);
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(DecodeTopologyRecord(bytes.substr(0, i))) << i;
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_FALSE(DecodeTopologyRecord(flipped)) << i;
  }
  EXPECT_FALSE(DecodeTopologyRecord(bytes + "x"));
}

// --- which copy is believed ----------------------------------------------------------------------

class TopologyRecordTest : public testing::Test {
 protected:
  class Queue final : public storage::CompletionQueue {
   public:
    explicit Queue(TestTime& time) : time_(time) {}
    void Post(base::UniqueFunction<void()> task) override { time_.Post(std::move(task)); }

   private:
    TestTime& time_;
  };

  // As a process that dies does it.
  void Restart(bool cut_log) {
    plan_.cut_log = cut_log;
    engine_.Crash();
  }
  TopologyRecord::Stored Load() { return LoadCluster(engine_).value(); }
  // Stores the sample: document 7 and a vote on 8.
  void Store() {
    TopologyRecord record(engine_, queue_, {});
    int done = 0;
    const auto count = [&](const base::Status& status) { done += status ? 1 : 0; };
    record.PutDocument(*Sample().topology, count);
    record.PutVotes(8, Sample().votes.state, count);
    ASSERT_TRUE(time_.RunUntil([&] { return done == 2; }));
  }
  // As the node does it that has loaded something.
  void Start(const TopologyRecord::Stored& stored) {
    TopologyRecord(engine_, queue_, stored).Start(telemetry::NullLog());
    time_.Run(base::Seconds(1));
  }
  void TakeNoteOfTheCut() {
    storage::WriteBatch batch;
    batch.Remove(Space::kMeta, std::string(storage::kLogCutKey));
    ASSERT_TRUE(engine_.Write(batch));
    engine_.Sync(&queue_, [](const base::Status&) {});
    time_.Run(base::Seconds(1));
  }
  bool HasAll(const TopologyRecord::Stored& stored) {
    return stored.topology && stored.topology->epoch == 7 && stored.votes.epoch == 8 &&
           stored.votes.state == Sample().votes.state && !stored.votes.lost;
  }

  TestTime time_;
  Plan plan_{time_};
  storage::MemoryEngine engine_{&plan_};
  Queue queue_{time_};
};

TEST_F(TopologyRecordTest, ANewStoreHasNothing) {
  const auto stored = Load();
  EXPECT_FALSE(stored.topology || stored.expelled_by || stored.votes.lost);
  EXPECT_EQ(stored.votes.epoch, 0U);
}

TEST_F(TopologyRecordTest, ACutOfTheLogTakesNothing) {
  engine_.KeepLog();
  Store();
  Restart(true);
  ASSERT_FALSE(engine_.GetBlocking(Space::kMeta, "register"));
  EXPECT_TRUE(HasAll(Load()));
  EXPECT_EQ(Load().stores, 2U);
  Restart(false);  // died before anybody took note
  EXPECT_TRUE(HasAll(Load()));
  TakeNoteOfTheCut();
  EXPECT_TRUE(engine_.GetBlocking(Space::kMeta, "register")) << "in both copies again";
  Restart(false);
  EXPECT_TRUE(HasAll(Load()));
  EXPECT_EQ(Load().stores, 2U);
}

TEST_F(TopologyRecordTest, AnUnreadableFileAloneTakesNothing) {
  Store();
  engine_.SpoilApart();
  Restart(false);
  const auto stored = Load();
  EXPECT_TRUE(HasAll(stored));
  EXPECT_EQ(stored.copy_trouble, "it is damaged");
  Start(stored);
  EXPECT_TRUE(Load().copy_trouble.empty());
}

TEST_F(TopologyRecordTest, VotesAreLostWhenBothCopiesAreDamaged) {
  engine_.KeepLog();
  Store();
  engine_.SpoilApart();
  Restart(true);
  auto stored = Load();
  EXPECT_TRUE(stored.votes.lost);
  Restart(false);  // died before it was durable
  stored = Load();
  EXPECT_TRUE(stored.votes.lost);
  Start(stored);
  TakeNoteOfTheCut();
  Restart(true);  // which takes the note of it from the log, not from the file
  stored = Load();
  EXPECT_TRUE(stored.votes.lost);
  TopologyRecord record(engine_, queue_, stored);
  record.PutVotesFound([](const base::Status&) {});
  time_.Run(base::Seconds(1));
  EXPECT_FALSE(Load().votes.lost);
  TakeNoteOfTheCut();
  EXPECT_FALSE(Load().votes.lost);
}

// A store of before the file existed, and one that such a program has used again.
TEST_F(TopologyRecordTest, WithoutTheFileAnUncutLogIsEnough) {
  TopologyRecord::Stored older = Sample();
  storage::WriteBatch batch;
  std::string votes;
  base::ByteWriter(&votes).U64(older.votes.epoch);
  older.votes.state.EncodeTo(&votes);
  batch.Put(Space::kMeta, "topology", membership::EncodeTopology(*older.topology));
  batch.Put(Space::kMeta, "register", votes);
  ASSERT_TRUE(engine_.Write(batch));
  const auto stored = Load();
  EXPECT_TRUE(HasAll(stored));
  Start(stored);
  EXPECT_TRUE(HasAll(*DecodeTopologyRecord(engine_.ReadApart().value())));
  EXPECT_EQ(engine_.GetBlocking(Space::kMeta, "register").value(), votes)
      << "the earlier program finds what it wrote";
}

// Guards M3, M32.
TEST_F(TopologyRecordTest, VotesAreToldWhenBothCopiesAreDurable) {
  plan_.hold_syncs = true;
  TopologyRecord record(engine_, queue_, {});
  bool told = false;
  record.PutVotes(8, Sample().votes.state, [&](const base::Status&) { told = true; });
  time_.Run(base::Seconds(1));
  EXPECT_FALSE(told);
  plan_.Release();
  time_.Run(base::Seconds(1));
  EXPECT_TRUE(told);
  engine_.Crash();
  EXPECT_EQ(Load().votes.epoch, 8U);
  EXPECT_EQ(DecodeTopologyRecord(engine_.ReadApart().value())->votes.epoch, 8U);
}

TEST_F(TopologyRecordTest, ARefusedWriteIsToldAndLeavesTheCopiesAlike) {
  TopologyRecord record(engine_, queue_, {});
  plan_.fail_write = base::Fail(base::Code::kStalled, "wait");
  std::optional<base::Status> answer;
  record.PutVotes(8, {}, [&](base::Status status) { answer = std::move(status); });
  EXPECT_FALSE(answer) << "never from within the call";
  time_.Run(base::Seconds(1));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error().code, base::Code::kStalled);
  EXPECT_FALSE(engine_.ReadApart());
}

}  // namespace
}  // namespace lariat::topology
