// SPDX-License-Identifier: Apache-2.0
// This machine, as far as it can spoil a node's day.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>

#include "apps/lariat/terminal/text.h"
#include "apps/lariat/watch/findings.h"

namespace lariat::cli::watch {
namespace {

constexpr const char* kHost = "this host";
constexpr size_t kSyncs = 32;
constexpr double kSlowSyncMs = 10;
constexpr uint64_t kFilesWanted = 65536;
constexpr double kFreeShareWanted = 0.2;

std::string FileText(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Finding Fine(std::string says) { return {Grade::kFine, kHost, std::move(says), ""}; }

Finding OpenFiles() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= kFilesWanted) return Fine("enough files may be opened");
  return {Grade::kAdvice, kHost,
          fmt::format("a process may open {} files", CountText(limit.rlim_max)),
          "LimitNOFILE=1048576 in the unit, or ulimit -Hn 1048576 before lariatd"};
}

Finding Swap() {
  const std::string swaps = FileText("/proc/swaps");
  if (std::count(swaps.begin(), swaps.end(), '\n') <= 1) return Fine("no swap");
  const std::string swappiness = FileText("/proc/sys/vm/swappiness");
  if (swappiness == "0\n" || swappiness == "1\n")
    return Fine("swap is a last resort (vm.swappiness)");
  return {Grade::kAdvice, kHost,
          "memory of a node may be swapped out; then its p99 is that of the disk",
          "sysctl -w vm.swappiness=1, or swapoff -a"};
}

Finding HugePages() {
  const std::string enabled = FileText("/sys/kernel/mm/transparent_hugepage/enabled");
  if (enabled.find("[always]") == std::string::npos) return Fine("huge pages are not forced");
  return {Grade::kAdvice, kHost, "transparent huge pages are always on: memory grows, with pauses",
          "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding ClockState() {
  timex state{};
  const int told = adjtimex(&state);
  const bool kept = told >= 0 && told != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  if (kept) return Fine("the clock is kept by NTP");
  return {Grade::kAdvice, kHost, "nothing keeps the clock: lww buckets and expiry go by it",
          "apt install chrony"};
}

Finding FileSystem(const std::string& directory) {
  struct statfs at {};
  if (statfs(directory.c_str(), &at) != 0) {
    return {Grade::kBad, kHost,
            fmt::format("{}: {}", directory, std::generic_category().message(errno)),
            "--dir names the data directory of a node"};
  }
  constexpr long kTmpfs = 0x01021994, kNfs = 0x6969, kOverlay = 0x794c7630;
  const auto type = static_cast<long>(at.f_type);
  if (type == kTmpfs) {
    return {Grade::kBad, kHost, directory + " is in memory (tmpfs): gone with the machine",
            "node.data_dir on a disk"};
  }
  if (type == kNfs || type == kOverlay) {
    return {Grade::kAdvice, kHost,
            fmt::format("{} is {}: syncs may mean less there", directory,
                        type == kNfs ? "NFS" : "a container's layer"),
            "node.data_dir on a disk of the machine, or a volume"};
  }
  const double share = static_cast<double>(at.f_bavail) / static_cast<double>(at.f_blocks);
  const std::string free = BytesText(at.f_bavail * static_cast<uint64_t>(at.f_bsize));
  if (share >= kFreeShareWanted) return Fine(fmt::format("{} of the disk are free", free));
  return {Grade::kAdvice, kHost,
          fmt::format("{} ({:.0f} %) of the disk are free", free, share * 100),
          "add disk, or a node: below storage.disk_reserve_bytes only deletes go on"};
}

// Milliseconds of each; empty if it could not be tried.
std::vector<double> TimeSyncs(const std::string& directory) {
  using Clock = std::chrono::steady_clock;
  std::string path = directory + "/lariat-doctor.XXXXXX";
  const int file = mkostemp(path.data(), O_CLOEXEC);
  if (file < 0) return {};
  unlink(path.c_str());
  std::vector<double> took;
  const std::string block(4096, 'x');
  for (size_t i = 0; i < kSyncs; ++i) {
    const auto before = Clock::now();
    const bool done = pwrite(file, block.data(), block.size(), static_cast<off_t>(i * 4096)) ==
                          static_cast<ssize_t>(block.size()) &&
                      fdatasync(file) == 0;
    if (!done) break;
    took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  close(file);
  if (took.size() < kSyncs) return {};
  std::sort(took.begin(), took.end());
  return took;
}

Finding Syncs(const std::string& directory) {
  const std::vector<double> took = TimeSyncs(directory);
  if (took.empty()) {
    return {Grade::kBad, kHost, fmt::format("no file can be written and synced in {}", directory),
            "--dir names the data directory of a node"};
  }
  const double median = took[took.size() / 2];
  const std::string says = fmt::format("a sync in {} takes {:.2f} ms ({:.2f} ms at the most)",
                                       directory, median, took.back());
  if (median < kSlowSyncMs) return Fine(says);
  return {Grade::kAdvice, kHost, says + ": so long does every durable write at the least",
          "an SSD with power-loss protection; or durability=periodic for buckets that may lose a "
          "second"};
}

}  // namespace

Findings CheckHost(const std::string& data_dir) {
  return {OpenFiles(), Swap(), HugePages(), ClockState(), FileSystem(data_dir), Syncs(data_dir)};
}

}  // namespace lariat::cli::watch
