// SPDX-License-Identifier: Apache-2.0
// To be preloaded (LD_PRELOAD) by tests: a wall clock that is off by as many nanoseconds as the
// file $WALL_CLOCK_FILE says, 8 bytes, at any moment. The monotonic clock is left alone. It
// allocates nothing, for the allocator asks for the time, too.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

std::atomic<int64_t>* offset_ns = nullptr;

__attribute__((constructor)) void Open() {
  const char* path = getenv("WALL_CLOCK_FILE");
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void* shared = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (shared != MAP_FAILED) offset_ns = static_cast<std::atomic<int64_t>*>(shared);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  constexpr int64_t kSecond = 1'000'000'000;
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, out));
  if (result != 0 || clock != CLOCK_REALTIME || offset_ns == nullptr) return result;
  const int64_t ns = out->tv_sec * kSecond + out->tv_nsec + offset_ns->load();
  out->tv_sec = ns / kSecond;
  out->tv_nsec = ns % kSecond;
  return 0;
}
