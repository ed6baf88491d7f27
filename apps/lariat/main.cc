// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/session.h"
#include "env/posix/descriptors.h"
#include "env/posix/signals.h"

int main(int argc, char** argv) {
  using lariat::env::posix::ClosedOutput;
  lariat::env::posix::OpenStandardDescriptors(ClosedOutput::kFails);
  lariat::env::posix::IgnoreBrokenPipes();
  lariat::env::posix::RaiseDescriptorLimit();  // for `lariat bench` with many connections
  return lariat::cli::Main(argc, argv);
}
