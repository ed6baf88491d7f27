// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include "apps/lariat/session.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return lariat::cli::Main(argc, argv);
}
