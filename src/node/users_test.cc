// SPDX-License-Identifier: Apache-2.0
// Users, roles and grants on whole nodes in virtual time: how a change reaches everybody, and what
// a node does that is cut off.
#include <gtest/gtest.h>

#include "node/cluster_test_util.h"

namespace lariat::node {
namespace {

using access::AccessChange;
using base::Code;
using coordinator::Caller;
using security::BookChange;

constexpr const char* kFirst = "the first password";

class UsersTest : public ClusterTest {
 protected:
  void ThreeNodesWithUsers() {
    const std::vector<std::string> list = {Address(1), Address(2), Address(3)};
    for (uint64_t i = 1; i <= 3; ++i) {
      Machine& machine = Add(i, list);
      machine.settings.security_auth = "on";
      machine.first_password = i == 2 ? kFirst : "";
      machine.Start();
    }
    ASSERT_TRUE(time.RunUntil([&] {
      return std::ranges::all_of(machines, [](auto& m) { return m->Formed() && Version(*m) == 1; });
    }));
  }
  static uint64_t Version(Machine& machine) {
    const auto rights = machine.node().access(1).rights();
    return rights ? rights->book().version : 0;
  }
  Caller Administrator(Machine& machine) {
    return machine.node().access(0).ByCertificate("admin", "10.0.0.9:1", "test").value();
  }
  base::Status Change(Machine& machine, BookChange change) {
    std::optional<base::Status> done;
    machine.node().access(0).Change({std::move(change)}, Administrator(machine),
                                    [&](base::Status s) { done = std::move(s); });
    EXPECT_TRUE(time.RunUntil([&] { return done.has_value(); }));
    return done.value_or(base::Fail(Code::kUnknown, "not answered"));
  }
  Code Login(Machine& machine, const std::string& user, const std::string& password) {
    std::optional<Code> code;
    machine.node().access(1).Login({user, password, "10.0.0.9:1", "test"},
                                   [&](const base::Result<Caller>& caller) {
                                     code = caller ? Code::kOk : caller.error().code;
                                   });
    EXPECT_TRUE(time.RunUntil([&] { return code.has_value(); }));
    return code.value_or(Code::kUnknown);
  }
};

TEST_F(UsersTest, TheFirstAdministratorIsMadeOnceAndKnownEverywhere) {
  ThreeNodesWithUsers();
  for (auto& machine : machines) {
    EXPECT_EQ(Login(*machine, "admin", kFirst), Code::kOk);
    EXPECT_EQ(Login(*machine, "admin", "the other password"), Code::kUnauthenticated);
  }
  time.Run(base::Seconds(5));
  EXPECT_EQ(Version(*machines[0]), 1U);
}

TEST_F(UsersTest, AChangeIsInForceOnAllNodesWithinAGossipRound) {
  ThreeNodesWithUsers();
  ASSERT_TRUE(Change(*machines[2], {BookChange::Verb::kPutRole, "editor"}));
  time.Run(base::Millis(machines[0]->settings.membership_gossip_period_ms));
  for (auto& machine : machines) EXPECT_EQ(Version(*machine), 2U);
}

TEST_F(UsersTest, ARestartLosesNothing) {
  ThreeNodesWithUsers();
  ASSERT_TRUE(Change(*machines[0], {BookChange::Verb::kPutRole, "editor"}));
  for (auto& machine : machines) machine->GoDown();
  for (auto& machine : machines) machine->engine.Crash();
  for (auto& machine : machines) machine->Start();
  ASSERT_TRUE(time.RunUntil([&] { return AllFormed() && Version(*machines[1]) == 2; }));
  EXPECT_EQ(Login(*machines[1], "admin", kFirst), Code::kOk);
}

TEST_F(UsersTest, ANodeThatIsCutOffGoesOnWithWhatItHas) {
  ThreeNodesWithUsers();
  machines[2]->CutOff();
  ASSERT_TRUE(Change(*machines[0], {BookChange::Verb::kPutUser, "ada", "hash", {{"admin"}}}));
  EXPECT_EQ(Version(*machines[1]), 2U);
  EXPECT_EQ(Version(*machines[2]), 1U);
  EXPECT_EQ(Login(*machines[2], "admin", kFirst), Code::kOk);
  EXPECT_TRUE(
      machines[2]->node().access(0).Check(access::Door::kAdmin, Administrator(*machines[2]), ""));
  const auto alone = Change(*machines[2], {BookChange::Verb::kPutRole, "lonely"});
  EXPECT_FALSE(alone);
  machines[2]->Mend();
  EXPECT_TRUE(time.RunUntil([&] { return Version(*machines[2]) == 2; }));
}

TEST_F(UsersTest, ChangesAtTwoNodesAtOnceAreBothMade) {
  ThreeNodesWithUsers();
  int done = 0;
  for (size_t i = 0; i < 2; ++i) {
    Machine& machine = *machines[i];
    machine.node().access(0).Change({{BookChange::Verb::kPutRole, "role" + std::to_string(i)}},
                                    Administrator(machine),
                                    [&](const base::Status& status) { done += status ? 1 : 0; });
  }
  ASSERT_TRUE(time.RunUntil([&] { return done == 2; }));
  time.Run(base::Seconds(1));
  for (auto& machine : machines) {
    const auto rights = machine->node().access(0).rights();
    EXPECT_TRUE(rights->book().roles.contains("role0"));
    EXPECT_TRUE(rights->book().roles.contains("role1"));
  }
}

// Planted: what a build that knows no users does with any change of the topology.
TEST_F(UsersTest, WhatWouldLoseTheUsersIsNotAgreedOn) {
  ThreeNodesWithUsers();
  std::optional<Code> code;
  machines[0]->node().Propose(
      [](const membership::Topology& now) -> membership::Next {
        membership::Topology next = now;
        ++next.epoch;
        next.access = nullptr;
        return next;
      },
      machines[0]->shard(),
      [&](const base::Result<membership::Topology>& result) {
        code = result ? Code::kOk : result.error().code;
      });
  ASSERT_TRUE(time.RunUntil([&] { return code.has_value(); }));
  EXPECT_NE(code, Code::kOk);
  time.Run(base::Seconds(2));
  for (auto& machine : machines) EXPECT_EQ(Version(*machine), 1U);
  EXPECT_TRUE(Change(*machines[0], {BookChange::Verb::kPutRole, "editor"}));
}

TEST_F(UsersTest, AGuardedServiceIsWhatProtocolsGet) {
  ThreeNodesWithUsers();
  Machine& machine = *machines[0];
  std::optional<Code> code;
  machine.node().kv(0).Get({"default", "k", {}}, [&](const auto& reply) {
    code = reply ? Code::kOk : reply.error().code;
  });
  ASSERT_TRUE(time.RunUntil([&] { return code.has_value(); }));
  EXPECT_EQ(code, Code::kUnauthenticated);
}

}  // namespace
}  // namespace lariat::node
