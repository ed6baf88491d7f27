// SPDX-License-Identifier: Apache-2.0
#include "healing/kept.h"

#include <gtest/gtest.h>

#include "healing/sweeper.h"

namespace lariat::healing {
namespace {

constexpr base::WallTime kNow{1'000'000};

std::string ObjectOf(causal::Value value, uint64_t node = 1) {
  causal::Object object(causal::Kind::kSiblings);
  object.dvv()->Update({}, std::move(value), {node, 1, 1});
  return object.Encode();
}
std::string Deleted(int64_t ago_s) {
  return ObjectOf({.tombstone = true, .written = {kNow.ms - ago_s * 1000}});
}
KeptQuestion Ask(const std::vector<std::string>& objects) {
  KeptQuestion question;
  question.gc_grace_s = 60;
  for (const std::string& object : objects) {
    const uint64_t number = question.replicas.size() + 1;
    question.replicas.push_back({number, "node" + std::to_string(number), true, object});
  }
  return question;
}
std::string Text(const KeptQuestion& question) { return StateOfKept(question, kNow).text; }

TEST(Kept, SaysNothingOfKeysThatHaveNothingToGo) {
  EXPECT_EQ(Text(Ask({"", "", ""})), "");
  EXPECT_EQ(Text(Ask({ObjectOf({.bytes = "v"}), ""})), "");
  EXPECT_EQ(Text(Ask({Deleted(100), ObjectOf({.bytes = "v"}, 2)})), "") << "a sibling lives";
  EXPECT_EQ(Text(Ask({"damaged"})), "");
}

TEST(Kept, SaysWhatIsWaitedFor) {
  EXPECT_EQ(Text(Ask({Deleted(12)})), "deleted 12 s ago; kept until 60 s have passed (gc_grace)");
  EXPECT_EQ(Text(Ask({ObjectOf({.written = {1}, .expires_ms = kNow.ms - 5000})})),
            "expired 5 s ago; kept until 60 s have passed (gc_grace)");
  KeptQuestion away = Ask({Deleted(100), Deleted(100), ""});
  away.replicas[2].answered = false;
  EXPECT_EQ(Text(away), "deleted 100 s ago; node3 does not answer: it has not confirmed it");
  EXPECT_EQ(Text(Ask({Deleted(100), ""})), "deleted 100 s ago; node2 lacks it");
  EXPECT_EQ(Text(Ask({Deleted(100), ObjectOf({.tombstone = true, .written = {1}}, 2)})),
            "deleted 100 s ago; node1 has another state");
}

TEST(Kept, WhenAllReplicasAgreeItDependsOnTheMembers) {
  const KeptState state = StateOfKept(Ask({Deleted(100), Deleted(100)}), kNow);
  EXPECT_EQ(state.text, "deleted 100 s ago");
  EXPECT_FALSE(state.final);
  wire::HintsReply reply;
  EXPECT_EQ(TroubleOfKept("node4", reply), "");
  reply.hinted = {"k"};
  EXPECT_EQ(TroubleOfKept("node4", reply), "a hint waits at node4");
  reply.unclean = "it is busy";
  EXPECT_EQ(TroubleOfKept("node4", reply), "node4: it is busy");
  EXPECT_NE(TroubleOfKept("node4", base::Fail(base::Code::kTimeout, "")).find("does not answer"),
            std::string::npos);
  EXPECT_EQ(NothingKeeps("node1", base::Seconds(40), false),
            "every replica has confirmed it; the next sweep of node1 (in 40 s) removes it");
}

}  // namespace
}  // namespace lariat::healing
