// SPDX-License-Identifier: Apache-2.0
// One step after the other of the receiving side.
#include "repair/transfer_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repair/repair_test_util.h"

namespace lariat::repair {
namespace {

using base::Code;
using base::Fail;
using ::testing::HasSubstr;

constexpr ring::TokenRange kAll = {{UINT64_MAX}, {UINT64_MAX}};

TransferPlan PlanOf(std::vector<Stream> streams) {
  TransferPlan plan;
  plan.change = 9;
  plan.streams = std::move(streams);
  for (uint64_t i = 1; i <= 9; ++i) plan.names[i] = "node" + std::to_string(i);
  return plan;
}

class TransferCoreTest : public testing::Test {
 protected:
  void Start(std::vector<Stream> streams) {
    core_.emplace(PlanOf(std::move(streams)), options_, now_);
  }
  TransferCore::Actions Next() {
    auto actions = core_->Next(now_);
    if (!actions.saves.empty()) {
      for (const auto& save : actions.saves) cursors_[save.name] = save.cursor;
      core_->OnSaved({}, now_);
    }
    return actions;
  }
  void WriteAll(const TransferCore::Actions& actions) {
    for (const auto& write : actions.writes) {
      stored_[write.key] = write.object;
      core_->OnWritten(write.stream, write.ticket, {}, now_);
    }
  }
  void AnswerAll(const TransferCore::Actions& actions) {
    for (const auto& ask : actions.asks) {
      core_->OnPage(ask.stream, ask.ticket, MakePage(records_, ask.request, 2, damaged_), now_);
    }
  }
  // Lets everything succeed until nothing is left to do, or the time is up.
  void Run(base::Duration time) {
    for (const base::Instant end = now_ + time; now_ < end && !core_->Finished();
         now_ += base::Millis(10)) {
      const auto actions = Next();
      AnswerAll(actions);
      WriteAll(actions);
    }
  }
  TransferCore::Ask AskOnly() {
    const auto actions = Next();
    EXPECT_EQ(actions.asks.size(), 1U);
    return actions.asks.at(0);
  }

  TransferOptions options_;
  base::Instant now_{};
  std::optional<TransferCore> core_;
  Records records_ = {{KeyAt(1, 1), "a"},
                      {KeyAt(1, 2), "b"},
                      {KeyAt(1, 3), "c"},
                      {KeyAt(1, 4), "d"},
                      {KeyAt(1, 5), "e"}};
  std::set<std::string> damaged_;
  Records stored_;
  Records cursors_;
};

TEST_F(TransferCoreTest, FetchesEverythingAndFinishes) {
  Start({{1, kAll, 1}, {1, kAll, 2}, {2, kAll, 1}, {1, kAll, 1}});
  EXPECT_FALSE(core_->Finished());
  EXPECT_EQ(core_->Progress(now_).ranges_total, 3U) << "repetitions are one";
  Run(base::Seconds(10));
  EXPECT_TRUE(core_->Finished());
  EXPECT_EQ(stored_, records_);
  EXPECT_EQ(core_->Trouble(), "");
  const TransferProgress progress = core_->Progress(now_);
  EXPECT_EQ(progress.ranges_done, 3U);
  EXPECT_EQ(progress.keys, 10U);
  EXPECT_EQ(progress.fraction, 1);
  EXPECT_TRUE(progress.finished);
  wire::ProgressReply reply;
  progress.FillReply(&reply);
  EXPECT_EQ(reply.change, 9U);
  EXPECT_EQ(reply.ranges_total, 3U);
  EXPECT_EQ(cursors_.size(), 3U);
}

TEST_F(TransferCoreTest, AnEmptyPlanIsFinished) {
  Start({});
  EXPECT_TRUE(core_->Finished());
  EXPECT_EQ(core_->Progress(now_).fraction, 1);
}

TEST_F(TransferCoreTest, ThePageIsConfirmedWhenAllOfItIsDurable) {
  Start({{1, kAll, 1}});
  const auto first = AskOnly();
  EXPECT_EQ(first.request.after_key, "");
  EXPECT_EQ(first.request.change, 9U);
  core_->OnPage(first.stream, first.ticket, MakePage(records_, first.request, 2), now_);
  const auto writes = Next().writes;
  ASSERT_EQ(writes.size(), 2U);
  core_->OnWritten(writes[1].stream, writes[1].ticket, {}, now_);
  now_ += base::Seconds(5);
  EXPECT_TRUE(Next().asks.empty());
  EXPECT_TRUE(cursors_.empty());
  core_->OnWritten(writes[0].stream, writes[0].ticket, {}, now_);
  EXPECT_EQ(AskOnly().request.after_key, KeyAt(1, 2));
  ASSERT_EQ(cursors_.size(), 1U);
  EXPECT_EQ(DecodeCursor(cursors_.begin()->second)->last_key, KeyAt(1, 2));
}

TEST_F(TransferCoreTest, GoesOnAfterItsCursors) {
  Start({{1, kAll, 1}, {2, kAll, 1}});
  Cursor cursor;
  cursor.last_key = KeyAt(1, 3);
  cursor.keys = 3;
  const Stream one = {1, kAll, 1};
  const Stream two = {2, kAll, 1};
  EXPECT_TRUE(core_->Restore(CursorName(9, one), EncodeCursor(cursor)));
  EXPECT_TRUE(core_->Restore(CursorName(9, two), EncodeCursor({.finished = true})));
  EXPECT_FALSE(core_->Restore(CursorName(8, one), EncodeCursor(cursor))) << "another change";
  EXPECT_FALSE(core_->Restore(CursorName(9, one), "rubbish"));
  EXPECT_EQ(AskOnly().request.after_key, KeyAt(1, 3));
  EXPECT_EQ(core_->Progress(now_).keys, 3U);
  EXPECT_EQ(core_->Progress(now_).ranges_done, 1U);
}

TEST_F(TransferCoreTest, AFinishThatCouldNotBeStoredIsNone) {
  Start({{2, kAll, 1}});
  AnswerAll(Next());
  const auto saves = core_->Next(now_).saves;
  ASSERT_EQ(saves.size(), 1U);
  EXPECT_FALSE(core_->Finished());
  core_->OnSaved(Fail(Code::kDiskFull, "no room"), now_);
  EXPECT_FALSE(core_->Finished());
  EXPECT_THAT(core_->Trouble(), HasSubstr("no room"));
  EXPECT_TRUE(Next().saves.empty()) << "not at once again";
  now_ += base::Seconds(1);
  Next();
  EXPECT_TRUE(core_->Finished());
  EXPECT_EQ(core_->Trouble(), "");
}

TEST_F(TransferCoreTest, OtherPagesThanTheOneAskedForAreDropped) {
  Start({{1, kAll, 1}});
  const auto ask = AskOnly();
  core_->OnPage(ask.stream, ask.ticket + 1, MakePage(records_, ask.request, 2), now_);
  EXPECT_TRUE(Next().writes.empty());
  core_->OnPage(ask.stream, ask.ticket, MakePage(records_, ask.request, 2), now_);
  core_->OnPage(ask.stream, ask.ticket, MakePage(records_, ask.request, 2), now_);
  EXPECT_EQ(Next().writes.size(), 2U);
}

TEST_F(TransferCoreTest, BadPagesAreRefusedCountedAndAskedForAgain) {
  const std::vector<std::function<void(wire::RangePage*)>> faults = {
      [](wire::RangePage* page) { page->entries[0].object += "x"; },
      [](wire::RangePage* page) { page->entries.pop_back(); },
      [](wire::RangePage* page) { page->checksum ^= 1; },
      [](wire::RangePage* page) { std::swap(page->entries[0], page->entries[1]); },
      [](wire::RangePage* page) { page->entries[1].key = page->entries[0].key; },
      [](wire::RangePage* page) { page->entries[0].key = KeyAt(1, 0); },   // before after_key
      [](wire::RangePage* page) { page->entries[1].key = KeyAt(1, 99); },  // out of the range
      [](wire::RangePage* page) { page->entries[1].key = KeyAt(2, 3); },   // another bucket
      [](wire::RangePage* page) { page->entries[1].key = "short"; },
      [](wire::RangePage* page) { page->last_key = page->entries[0].key; },
      [](wire::RangePage* page) { page->last_key = KeyAt(1, 99); },
      [](wire::RangePage* page) { page->last_key = KeyAt(2, 1); },
      [](wire::RangePage* page) { page->last_key.clear(); },
      [](wire::RangePage* page) {
        page->entries.clear();
        page->last_key = KeyAt(1, 1);  // gets no further, and more is said to come
      }};
  for (size_t i = 0; i < faults.size(); ++i) {
    for (const bool checksum_is_right : {false, true}) {
      if (checksum_is_right && i < 3) continue;
      const Stream stream = {1, {{0}, {50}}, 1};
      Start({stream});
      core_->Restore(CursorName(9, stream), EncodeCursor({.last_key = KeyAt(1, 1)}));
      const auto ask = AskOnly();
      wire::RangePage page = MakePage(records_, ask.request, 2);
      ASSERT_EQ(page.entries.size(), 2U);
      faults[i](&page);
      if (checksum_is_right) page.checksum = wire::PageChecksum(page.entries);
      core_->OnPage(ask.stream, ask.ticket, page, now_);
      EXPECT_TRUE(Next().writes.empty()) << i;
      EXPECT_EQ(core_->counts().refused, 1U) << i;
      EXPECT_THAT(core_->Trouble(), HasSubstr("node1")) << i;
      now_ += options_.backoff_min;
      EXPECT_EQ(AskOnly().request.after_key, KeyAt(1, 1));
    }
  }
}

TEST_F(TransferCoreTest, ASilentSourceIsAskedForEverMoreAndMoreSeldomAndHindersNobody) {
  options_.parallel = 4;
  std::vector<Stream> streams;
  for (uint32_t bucket = 10; bucket < 30; ++bucket) streams.push_back({bucket, kAll, 1});
  for (uint32_t bucket = 10; bucket < 30; ++bucket) streams.push_back({bucket, kAll, 2});
  Start(streams);
  int asked = 0;
  base::Duration longest{};
  base::Instant last = now_;
  for (int i = 0; i < 6000; ++i, now_ += base::Millis(10)) {
    for (const auto& ask : Next().asks) {
      if (ask.source == 2) {
        core_->OnPage(ask.stream, ask.ticket, MakePage({}, ask.request, 2), now_);
        continue;
      }
      ++asked;
      longest = std::max(longest, now_ - last);
      last = now_;
      core_->OnPage(ask.stream, ask.ticket, Fail(Code::kUnavailable, "node1 is down"), now_);
    }
  }
  EXPECT_EQ(core_->Progress(now_).ranges_done, 20U);
  EXPECT_GE(longest, options_.backoff_max);
  EXPECT_LE(longest, options_.backoff_max + base::Millis(20));
  EXPECT_LT(asked, 40);
  EXPECT_EQ(core_->Trouble(), "node1 does not answer (node1 is down)");
  EXPECT_FALSE(core_->Finished());
  Run(base::Seconds(10));
  EXPECT_TRUE(core_->Finished());
  EXPECT_EQ(core_->Trouble(), "");
}

TEST_F(TransferCoreTest, NoMoreThanParallelAndBothSourcesAtOnce) {
  options_.parallel = 6;
  std::vector<Stream> streams;
  for (uint32_t bucket = 1; bucket <= 20; ++bucket) streams.push_back({bucket, kAll, 1});
  streams.push_back({1, kAll, 2});
  streams.push_back({2, kAll, 2});
  Start(streams);
  const auto asks = Next().asks;
  EXPECT_EQ(asks.size(), 6U);
  EXPECT_EQ(std::count_if(asks.begin(), asks.end(), [](auto& ask) { return ask.source == 2; }), 2);
  EXPECT_TRUE(Next().asks.empty());
  EXPECT_EQ(core_->counts().running, 6U);
}

TEST_F(TransferCoreTest, WritesInFlightAreBounded) {
  options_.writes_max = 3;
  Start({{1, kAll, 1}, {1, kAll, 2}});
  for (const auto& ask : Next().asks) {
    core_->OnPage(ask.stream, ask.ticket, MakePage(records_, ask.request, 5), now_);
  }
  auto writes = Next().writes;
  EXPECT_EQ(writes.size(), 3U);
  EXPECT_TRUE(Next().writes.empty());
  core_->OnWritten(writes[0].stream, writes[0].ticket, {}, now_);
  EXPECT_EQ(Next().writes.size(), 1U);
}

TEST_F(TransferCoreTest, AFailedWriteAsksForThePageAgain) {
  Start({{1, kAll, 1}});
  AnswerAll(Next());
  const auto writes = Next().writes;
  core_->OnWritten(0, writes[0].ticket, Fail(Code::kDiskFull, "no room"), now_);
  EXPECT_TRUE(Next().asks.empty());
  core_->OnWritten(0, writes[1].ticket, {}, now_);
  EXPECT_THAT(core_->Trouble(), HasSubstr("no room"));
  now_ += base::Seconds(5);
  EXPECT_EQ(AskOnly().request.after_key, "");
  EXPECT_TRUE(cursors_.empty());
}

TEST_F(TransferCoreTest, DamageDoesNotStopTheRestButTheEnd) {
  damaged_ = {KeyAt(1, 3)};
  Start({{1, kAll, 1}});
  Run(base::Seconds(100));
  EXPECT_FALSE(core_->Finished());
  EXPECT_EQ(stored_.size(), 4U);
  EXPECT_EQ(core_->Trouble(), "node1 cannot read 1 damaged records (checksum)");
  // The place is remembered over a restart, wherever the cursor is.
  const Records kept = cursors_;
  Start({{1, kAll, 1}});
  for (const auto& [name, cursor] : kept) EXPECT_TRUE(core_->Restore(name, cursor));
  Run(base::Seconds(100));
  EXPECT_FALSE(core_->Finished());
  damaged_.clear();
  Run(base::Seconds(100));
  EXPECT_TRUE(core_->Finished());
  EXPECT_EQ(stored_, records_);
  EXPECT_EQ(core_->Trouble(), "");
}

TEST_F(TransferCoreTest, AnUnreadableDiskIsToldAndAskedAgain) {
  Start({{1, kAll, 1}, {2, kAll, 1}});
  for (const auto& ask : Next().asks) {
    if (ask.request.bucket == 2) {
      core_->OnPage(ask.stream, ask.ticket, MakePage(records_, ask.request, 2), now_);
      continue;
    }
    wire::RangePage page;
    page.outcome = {Code::kIo, "bad disk"};
    core_->OnPage(ask.stream, ask.ticket, page, now_);
  }
  EXPECT_EQ(core_->Trouble(), "node1 cannot read its records (bad disk)");
  Run(base::Seconds(10));
  EXPECT_TRUE(core_->Finished());
}

TEST_F(TransferCoreTest, TheRateIsKept) {
  options_.throttle.bytes_per_s = 100000;
  options_.page_bytes = 10000;
  records_.clear();
  for (uint64_t token = 1; token <= 1000; ++token) {
    records_[KeyAt(1, token)] = std::string(1000, 'x');
  }
  Start({{1, kAll, 1}, {1, kAll, 2}, {1, kAll, 3}});
  const base::Instant start = now_;
  Run(base::Seconds(1000));
  ASSERT_TRUE(core_->Finished());
  const double seconds = base::ToSeconds(now_ - start);
  EXPECT_NEAR(seconds, 3 * 1017000 / 100000.0, 6);
}

}  // namespace
}  // namespace lariat::repair
