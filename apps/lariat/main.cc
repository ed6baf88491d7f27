// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/session.h"
#include "env/posix/descriptors.h"
#include "env/posix/signals.h"

int main(int argc, char** argv) {
  lariat::env::posix::OpenStandardDescriptors();
  lariat::env::posix::IgnoreBrokenPipes();
  lariat::env::posix::RaiseDescriptorLimit();  // for `lariat bench` with many connections
  return lariat::cli::Main(argc, argv);
}
