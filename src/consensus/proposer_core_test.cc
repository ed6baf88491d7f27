// SPDX-License-Identifier: Apache-2.0
// The proposer alone: the test plays the acceptors, reply by reply.
#include "consensus/proposer_core.h"

#include <gtest/gtest.h>

namespace lariat::consensus {
namespace {

using Actions = ProposerCore::Actions;
using Kind = ProposerCore::ActionKind;
using Outcome = ProposerCore::Outcome;

std::optional<std::string> AppendY(std::optional<std::string_view> current) {
  return std::string(current.value_or("")) + "y";
}

Change SetIfEmpty(const std::string& value) {
  return [value](std::optional<std::string_view> current) -> std::optional<std::string> {
    if (current) return std::nullopt;
    return value;
  };
}

class ProposerTest : public testing::Test {
 protected:
  ProposerCore Make(Change change, ProposerCache cache = {}) {
    return {options_, &ballots_, std::move(change), std::move(cache)};
  }

  static PrepareReply Promise(const Ballot& ballot, const Ballot& accepted = {},
                              std::optional<std::string> value = std::nullopt) {
    PrepareReply reply;
    reply.ok = true;
    reply.ballot = ballot;
    reply.seen = ballot;
    reply.accepted = accepted;
    reply.value = std::move(value);
    return reply;
  }
  static PrepareReply NoPromise(const Ballot& ballot, const Ballot& seen) {
    PrepareReply reply;
    reply.ballot = ballot;
    reply.seen = seen;
    return reply;
  }
  static AcceptReply Accepted(const Proposal& proposal) {
    AcceptReply reply;
    reply.ok = true;
    reply.ballot = proposal.ballot;
    reply.next_promised = !proposal.next.IsZero();
    return reply;
  }
  static AcceptReply NotAccepted(const Ballot& ballot, const Ballot& seen) {
    AcceptReply reply;
    reply.ballot = ballot;
    reply.seen = seen;
    return reply;
  }

  // Two promises of an empty register: the change goes out.
  static Ballot ToAcceptPhase(ProposerCore* core) {
    const Ballot ballot = core->Start().front().ballot;
    core->OnPrepareReply(0, Promise(ballot));
    core->OnPrepareReply(1, Promise(ballot));
    return ballot;
  }
  // Two refusals by a greater ballot, then a new attempt; returns its ballot.
  static Ballot LoseAndRetry(ProposerCore* core, const Ballot& ballot, const Ballot& seen) {
    core->OnAcceptReply(0, NotAccepted(ballot, seen));
    const Actions actions = core->OnAcceptReply(1, NotAccepted(ballot, seen));
    EXPECT_EQ(actions.front().kind, Kind::kBackOff);
    return core->OnBackedOff().front().ballot;
  }
  static void AcceptByTwo(ProposerCore* core) {
    core->OnAcceptReply(0, Accepted(core->proposal()));
    core->OnAcceptReply(1, Accepted(core->proposal()));
    ASSERT_TRUE(core->finished());
  }

  ProposerCore::Options options_{.acceptors = 3};
  BallotSource ballots_{1, 1};
};

TEST_F(ProposerTest, DecidesTheChangeOfAnEmptyRegister) {
  ProposerCore core = Make(AppendY);
  const Actions prepares = core.Start();
  ASSERT_EQ(prepares.size(), 3U);
  EXPECT_EQ(prepares[2].kind, Kind::kPrepare);
  EXPECT_EQ(prepares[2].acceptor, 2U);
  const Ballot ballot = prepares[0].ballot;
  EXPECT_TRUE(core.OnPrepareReply(0, Promise(ballot)).empty());
  const Actions accepts = core.OnPrepareReply(2, Promise(ballot));
  ASSERT_EQ(accepts.size(), 3U);
  EXPECT_EQ(accepts[1].kind, Kind::kAccept);
  EXPECT_EQ(core.proposal().value, "y");
  EXPECT_TRUE(core.OnAcceptReply(1, Accepted(core.proposal())).empty());
  const Actions end = core.OnAcceptReply(2, Accepted(core.proposal()));
  ASSERT_EQ(end.size(), 1U);
  EXPECT_EQ(end[0].kind, Kind::kFinish);
  EXPECT_EQ(core.result().outcome, Outcome::kDecided);
  EXPECT_TRUE(core.result().changed);
  EXPECT_EQ(core.result().value, "y");
}

TEST_F(ProposerTest, BuildsUponTheHighestAcceptedValue) {
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  core.OnPrepareReply(0, Promise(ballot, {5, 2, 1}, "new"));
  core.OnPrepareReply(1, Promise(ballot, {4, 2, 1}, "old"));
  EXPECT_EQ(core.proposal().value, "newy");
}

TEST_F(ProposerTest, RefusedChangeIsAnsweredOnlyAfterTheValueIsAcceptedAgain) {
  ProposerCore core = Make(SetIfEmpty("mine"));
  const Ballot ballot = core.Start().front().ballot;
  core.OnPrepareReply(0, Promise(ballot, {5, 2, 1}, "theirs"));
  core.OnPrepareReply(1, Promise(ballot));
  EXPECT_FALSE(core.finished());
  EXPECT_EQ(core.proposal().value, "theirs");
  AcceptByTwo(&core);
  EXPECT_EQ(core.result().outcome, Outcome::kRefused);
  EXPECT_EQ(core.result().value, "theirs");
}

TEST_F(ProposerTest, ReadingAnEmptyRegisterConfirmsThatItIsEmpty) {
  ProposerCore core = Make(ReadOnly);
  ToAcceptPhase(&core);
  EXPECT_FALSE(core.finished());
  EXPECT_EQ(core.proposal().value, std::nullopt);
  AcceptByTwo(&core);
  EXPECT_EQ(core.result().outcome, Outcome::kRefused);
  EXPECT_TRUE(core.result().confirmed);
  EXPECT_EQ(core.result().value, std::nullopt);
}

TEST_F(ProposerTest, ChangeToTheSameValueIsDecidedButNotOurs) {
  ProposerCore core = Make([](auto) { return std::string("same"); });
  const Ballot ballot = core.Start().front().ballot;
  core.OnPrepareReply(0, Promise(ballot, {5, 2, 1}, "same"));
  core.OnPrepareReply(1, Promise(ballot));
  AcceptByTwo(&core);
  EXPECT_EQ(core.result().outcome, Outcome::kDecided);
  EXPECT_FALSE(core.result().changed);
}

TEST_F(ProposerTest, OneAcceptorCountsOnceAndOldRepliesCountNothing) {
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  EXPECT_TRUE(core.OnPrepareReply(0, Promise(ballot)).empty());
  EXPECT_TRUE(core.OnPrepareReply(0, Promise(ballot)).empty());
  EXPECT_TRUE(core.OnPrepareReply(1, Promise({99, 1, 1})).empty());
  core.OnPrepareReply(1, Promise(ballot));
  EXPECT_TRUE(core.OnAcceptReply(0, Accepted(core.proposal())).empty());
  EXPECT_TRUE(core.OnAcceptReply(0, Accepted(core.proposal())).empty());
  EXPECT_TRUE(core.OnPrepareReply(2, Promise(ballot)).empty());
  EXPECT_FALSE(core.finished());
}

TEST_F(ProposerTest, ConflictBacksOffAndGoesAboveTheGreatestBallotSeen) {
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  EXPECT_TRUE(core.OnPrepareReply(0, NoPromise(ballot, {20, 2, 1})).empty());
  const Actions actions = core.OnPrepareReply(1, NoPromise(ballot, {30, 3, 1}));
  ASSERT_EQ(actions.size(), 1U);
  EXPECT_EQ(actions[0].kind, Kind::kBackOff);
  EXPECT_EQ(actions[0].attempt, 1U);
  const Actions again = core.OnBackedOff();
  ASSERT_EQ(again.size(), 3U);
  EXPECT_GT(again[0].ballot, (Ballot{30, 3, 1}));
}

TEST_F(ProposerTest, OneRefusalDoesNotHinderAMajority) {
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  EXPECT_TRUE(core.OnPrepareReply(0, NoPromise(ballot, {20, 2, 1})).empty());
  core.OnPrepareReply(1, Promise(ballot));
  EXPECT_EQ(core.OnPrepareReply(2, Promise(ballot)).front().kind, Kind::kAccept);
}

TEST_F(ProposerTest, GivesUpAfterTheLastAttempt) {
  options_.attempts_max = 1;
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  core.OnPrepareReply(0, NoPromise(ballot, {20, 2, 1}));
  core.OnPrepareReply(1, NoPromise(ballot, {20, 2, 1}));
  ASSERT_TRUE(core.finished());
  EXPECT_EQ(core.result().outcome, Outcome::kNotApplied);
  EXPECT_EQ(core.result().error.code, base::Code::kUnavailable);
}

TEST_F(ProposerTest, TooManyFailuresBeforeTheChangeWentOutMeanNotApplied) {
  ProposerCore core = Make(AppendY);
  const Actions prepares = core.Start();
  EXPECT_TRUE(core.OnFailure(prepares[0]).empty());
  EXPECT_TRUE(core.OnFailure(prepares[0]).empty());
  core.OnFailure(prepares[1]);
  ASSERT_TRUE(core.finished());
  EXPECT_EQ(core.result().outcome, Outcome::kNotApplied);
  EXPECT_EQ(core.result().error.code, base::Code::kUnavailable);
}

TEST_F(ProposerTest, TooManyFailuresAfterTheChangeWentOutMeanUnknown) {
  ProposerCore core = Make(AppendY);
  const Actions prepares = core.Start();
  core.OnPrepareReply(0, Promise(prepares[0].ballot));
  const Actions accepts = core.OnPrepareReply(1, Promise(prepares[0].ballot));
  core.OnFailure(prepares[2]);  // of the phase before: says nothing about the accept
  core.OnFailure(accepts[0]);
  EXPECT_FALSE(core.finished());
  core.OnFailure(accepts[1]);
  ASSERT_TRUE(core.finished());
  EXPECT_EQ(core.result().outcome, Outcome::kUnknown);
  EXPECT_FALSE(core.result().confirmed);
  EXPECT_EQ(core.result().error.code, base::Code::kUnknown);
}

TEST_F(ProposerTest, ReplyAfterItsFailureWasReportedStillCounts) {
  ProposerCore core = Make(AppendY);
  const Actions prepares = core.Start();
  core.OnFailure(prepares[0]);
  core.OnPrepareReply(1, Promise(prepares[1].ballot));
  EXPECT_EQ(core.OnPrepareReply(0, Promise(prepares[0].ballot)).size(), 3U);
}

TEST_F(ProposerTest, TimeoutMakesTheSameDistinction) {
  ProposerCore early = Make(AppendY);
  early.Start();
  early.OnTimeout();
  EXPECT_EQ(early.result().outcome, Outcome::kNotApplied);
  ProposerCore late = Make(AppendY);
  ToAcceptPhase(&late);
  late.OnTimeout();
  EXPECT_EQ(late.result().outcome, Outcome::kUnknown);
  ProposerCore read = Make(ReadOnly);
  ToAcceptPhase(&read);
  read.OnTimeout();
  EXPECT_EQ(read.result().outcome, Outcome::kNotApplied);
  EXPECT_TRUE(read.OnTimeout().empty());
}

TEST_F(ProposerTest, FindsItsOwnProposalAndDoesNotMakeTheChangeTwice) {
  ProposerCore core = Make(AppendY);
  const Ballot first = ToAcceptPhase(&core);
  const Ballot second = LoseAndRetry(&core, first, {20, 2, 1});
  core.OnPrepareReply(1, Promise(second));
  core.OnPrepareReply(2, Promise(second, first, "y"));
  EXPECT_EQ(core.proposal().value, "y");
  AcceptByTwo(&core);
  EXPECT_EQ(core.result().outcome, Outcome::kDecided);
  EXPECT_TRUE(core.result().changed);
}

TEST_F(ProposerTest, MakesTheChangeAfreshWhenNobodyTookItUp) {
  ProposerCore core = Make(AppendY);
  const Ballot first = ToAcceptPhase(&core);
  const Ballot second = LoseAndRetry(&core, first, {20, 2, 1});
  core.OnPrepareReply(1, Promise(second));
  core.OnPrepareReply(2, Promise(second));
  EXPECT_EQ(core.proposal().value, "y");
  EXPECT_EQ(core.proposal().ballot, second);
  AcceptByTwo(&core);
  EXPECT_EQ(core.result().outcome, Outcome::kDecided);
}

TEST_F(ProposerTest, ValueThatAnotherMadeMeanwhileIsConfirmedAndTheOutcomeUnknown) {
  ProposerCore core = Make(SetIfEmpty("mine"));
  const Ballot first = ToAcceptPhase(&core);
  const Ballot second = LoseAndRetry(&core, first, {20, 2, 1});
  core.OnPrepareReply(1, Promise(second));
  core.OnPrepareReply(2, Promise(second, {20, 2, 1}, "theirs"));
  EXPECT_EQ(core.proposal().value, "theirs");
  AcceptByTwo(&core);
  EXPECT_EQ(core.result().outcome, Outcome::kUnknown);
  EXPECT_TRUE(core.result().confirmed);
  EXPECT_EQ(core.result().value, "theirs");
}

TEST_F(ProposerTest, SameProposerGoesAgainInOneRoundTrip) {
  options_.ask_next = true;
  ProposerCore first = Make(AppendY);
  ToAcceptPhase(&first);
  AcceptByTwo(&first);
  ProposerCache cache = first.TakeResult().cache;
  ASSERT_FALSE(cache.empty());
  ProposerCore second = Make(AppendY, std::move(cache));
  EXPECT_TRUE(cache.empty());  // NOLINT(bugprone-use-after-move): emptied is what is promised
  const Actions actions = second.Start();
  ASSERT_EQ(actions.size(), 3U);
  EXPECT_EQ(actions[0].kind, Kind::kAccept);
  EXPECT_EQ(second.proposal().ballot, first.proposal().next);
  EXPECT_EQ(second.proposal().value, "yy");
  AcceptByTwo(&second);
  EXPECT_EQ(second.result().value, "yy");
  EXPECT_FALSE(second.result().cache.empty());
}

TEST_F(ProposerTest, OvertakenCacheCostsOneAttempt) {
  options_.ask_next = true;
  ProposerCore first = Make(AppendY);
  ToAcceptPhase(&first);
  AcceptByTwo(&first);
  ProposerCore second = Make(AppendY, first.TakeResult().cache);
  const Ballot cached = second.Start().front().ballot;
  const Ballot fresh = LoseAndRetry(&second, cached, {50, 2, 1});
  EXPECT_GT(fresh, (Ballot{50, 2, 1}));
  second.OnPrepareReply(0, Promise(fresh, first.proposal().ballot, "y"));
  second.OnPrepareReply(1, Promise(fresh));
  EXPECT_EQ(second.proposal().value, "yy");
}

TEST_F(ProposerTest, NoCacheWithoutAQuorumOfNextPromises) {
  options_.ask_next = true;
  ProposerCore core = Make(AppendY);
  ToAcceptPhase(&core);
  AcceptReply overtaken = Accepted(core.proposal());
  overtaken.next_promised = false;
  core.OnAcceptReply(0, overtaken);
  core.OnAcceptReply(1, Accepted(core.proposal()));
  ASSERT_TRUE(core.finished());
  EXPECT_TRUE(core.result().cache.empty());
}

TEST_F(ProposerTest, StopsWhenOneBallotStandsForTwoValues) {
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  core.OnPrepareReply(0, Promise(ballot, {5, 2, 1}, "one"));
  core.OnPrepareReply(1, Promise(ballot, {5, 2, 1}, "other"));
  ASSERT_TRUE(core.finished());
  EXPECT_EQ(core.result().outcome, Outcome::kNotApplied);
  EXPECT_EQ(core.result().error.code, base::Code::kCorruption);
}

TEST_F(ProposerTest, UsedUpBallotsAreAFailureNotACrash) {
  ballots_.Observe({Ballot::kCounterMax, 2, 1});
  ProposerCore core = Make(AppendY);
  core.Start();
  ASSERT_TRUE(core.finished());
  EXPECT_EQ(core.result().outcome, Outcome::kNotApplied);
}

TEST_F(ProposerTest, LargerQuorumIsObeyed) {
  options_.quorum = 3;
  ProposerCore core = Make(AppendY);
  const Ballot ballot = core.Start().front().ballot;
  core.OnPrepareReply(0, Promise(ballot));
  EXPECT_TRUE(core.OnPrepareReply(1, Promise(ballot)).empty());
  EXPECT_EQ(core.OnPrepareReply(2, Promise(ballot)).size(), 3U);
}

}  // namespace
}  // namespace lariat::consensus
