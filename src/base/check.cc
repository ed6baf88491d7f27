// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace lariat::base {

void CheckFailed(const char* file, int line, const char* condition, const char* message) {
  // A pipe that is full because nobody reads it is no reason to go on.
  pollfd error = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&error, 1, 1000) > 0) {
    std::fprintf(stderr, "lariat: check failed at %s:%d: %s: %s\n", file, line, condition, message);
  }
  std::abort();
}

}  // namespace lariat::base
