// SPDX-License-Identifier: Apache-2.0
#include "env/posix/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>

namespace lariat::env::posix {

namespace {

constexpr uint64_t kOwn = 64;
constexpr uint64_t kOwnPerShard = 12;  // two epoll sets, timer, wake-up, name look-up, listeners
constexpr uint64_t kOwnPerBackgroundThread = 4;  // files that a flush or compaction writes
constexpr uint64_t kMembersMin = 8;              // a cluster that is small today may grow
// To each other node one connection from each shard and as many back; half as many again while
// broken ones are replaced.
constexpr uint64_t kPerMemberAndShard = 3;
constexpr uint64_t kStoreMin = 64;
constexpr uint64_t kClientsMin = 32;

}  // namespace

void OpenStandardDescriptors(ClosedOutput closed) {
  const int mode = closed == ClosedOutput::kFails ? O_RDONLY : O_RDWR;
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is given, which is this one. Where there is no /dev/null any
    // directory keeps the place, and what is written fails.
    if (::open("/dev/null", mode) < 0 && ::open("/", O_RDONLY | O_DIRECTORY) < 0) ::_exit(1);
  }
}

uint64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t soft = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : soft;
}

base::Result<DescriptorPlan> PlanDescriptors(uint64_t allowed, const DescriptorNeeds& needs) {
  const uint64_t shards = std::max<uint64_t>(needs.shards, 1);
  DescriptorPlan plan;
  plan.allowed = allowed;
  plan.own = kOwn + kOwnPerShard * shards + kOwnPerBackgroundThread * needs.background_threads;
  const uint64_t members = std::max(needs.members, kMembersMin) - 1;
  plan.peers = std::max(kPerMemberAndShard * shards * members, allowed / 16);
  // A quarter for the store: 64 MiB in each file make 16 GiB with 1024 descriptors, and past it
  // files are closed and opened again, which costs time and nothing else.
  plan.store = std::max(allowed / 4, kStoreMin);
  const uint64_t clients_min = std::max(kClientsMin, shards);
  const uint64_t least = plan.own + plan.peers + plan.store + clients_min;
  if (allowed < least) {
    return base::Fail(base::Code::kInvalidArgument,
                      "this process may open " + std::to_string(allowed) +
                          " files, and a node of " + std::to_string(shards) + " shards needs " +
                          std::to_string(least) +
                          ": raise the hard limit (ulimit -Hn, or LimitNOFILE= of a systemd unit), "
                          "or lower node.shards");
  }
  plan.clients = std::min(needs.clients_wanted, allowed - plan.own - plan.peers - plan.store);
  plan.clients -= plan.clients % shards;
  return plan;
}

}  // namespace lariat::env::posix
