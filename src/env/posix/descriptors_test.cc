// SPDX-License-Identifier: Apache-2.0
#include "env/posix/descriptors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace lariat::env::posix {
namespace {

using testing::HasSubstr;

// The exit code of a child process that runs `body`.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(StandardDescriptors, ClosedOnesArePlugged) {
  const int code = InChild([] {
    ::close(0);
    ::close(2);
    OpenStandardDescriptors();
    const int next = ::open("/dev/null", O_RDONLY);
    const bool plugged = ::write(2, "x", 1) == 1 && ::fcntl(0, F_GETFD) >= 0;
    return plugged && next > 2 ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
}

TEST(DescriptorLimit, IsRaisedAsFarAsItMay) {
  const int code = InChild([] {
    rlimit limit = {64, 128};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    if (RaiseDescriptorLimit() != 128) return 2;
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur == 128 ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
}

TEST(DescriptorPlan, NeverGivesAwayMoreThanThereIs) {
  for (const uint64_t allowed : {300, 512, 1024, 4096, 20000, 524288, 1 << 30}) {
    for (const uint64_t shards : {1, 2, 7, 16, 64}) {
      for (const uint64_t members : {1, 3, 40}) {
        DescriptorNeeds needs{shards, members, 2, shards * 10000};
        const auto plan = PlanDescriptors(allowed, needs);
        if (!plan) {
          EXPECT_EQ(plan.error().code, base::Code::kInvalidArgument);
          continue;
        }
        EXPECT_LE(plan->own + plan->store + plan->peers + plan->clients, allowed);
        EXPECT_GE(plan->peers, 2 * shards * (members - 1));
        EXPECT_GE(plan->store, 64u);
        EXPECT_GE(plan->clients, shards);
        EXPECT_EQ(plan->clients % shards, 0u);
        EXPECT_LE(plan->clients, needs.clients_wanted);
      }
    }
  }
}

TEST(DescriptorPlan, UsualLimits) {
  const auto few = PlanDescriptors(1024, {2, 3, 2, 20000});
  ASSERT_TRUE(few.has_value());
  EXPECT_GT(few->clients, 500u);
  const auto many = PlanDescriptors(524288, {2, 3, 2, 20000});
  ASSERT_TRUE(many.has_value());
  EXPECT_EQ(many->clients, 20000u);
  const auto too_few = PlanDescriptors(100, {2, 3, 2, 20000});
  ASSERT_FALSE(too_few.has_value());
  EXPECT_THAT(too_few.error().message, HasSubstr("may open 100 files"));
  EXPECT_THAT(too_few.error().message, HasSubstr("LimitNOFILE"));
}

}  // namespace
}  // namespace lariat::env::posix
