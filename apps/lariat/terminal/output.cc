// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/terminal/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace lariat::cli {

namespace {

// Whether all that was written since ResetOutput could be.
bool& Works() {
  static bool works = true;
  return works;
}

void Failed(int error) {
  if (Works() && error != EPIPE) {
    Tell("lariat: cannot write to standard output: {}\n", std::strerror(error));
  }
  Works() = false;
}

}  // namespace

void Write(std::string_view bytes) {
  errno = 0;
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) Failed(errno);
}

void TellText(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stderr) != text.size()) std::clearerr(stderr);
}

void PrintLine(std::string_view text) {
  Write(text);
  Write("\n");
  FlushOutput();
}

bool FlushOutput() {
  if (std::fflush(stdout) != 0) Failed(errno);
  return Works();
}

bool OutputWorks() { return Works(); }

void ResetOutput() {
  std::clearerr(stdout);
  Works() = true;
}

}  // namespace lariat::cli
