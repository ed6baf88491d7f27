// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "apps/lariat/session.h"

namespace {

// A descriptor 0 to 2 that was closed by the caller would be given to the next socket, and then
// output would go to a node. Open for reading only, so that writing to it fails as it should.
void OccupyStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  OccupyStandardDescriptors();
  std::signal(SIGPIPE, SIG_IGN);
  return lariat::cli::Main(argc, argv);
}
