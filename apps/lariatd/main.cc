// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <string>

#include "apps/lariatd/options.h"
#include "apps/lariatd/server.h"
#include "env/posix/descriptors.h"
#include "env/posix/line_output.h"
#include "env/posix/signals.h"

extern char** environ;

namespace {
// A disk that goes on damaging files is for people.
constexpr int kSalvagesMax = 3;
// Nobody may read what is complained about, and then the end is not to wait.
constexpr lariat::base::Duration kComplaintLimit = lariat::base::Seconds(2);

void Complain(const std::string& message) {
  const std::string line = "lariatd: " + message + "\n";
  lariat::env::posix::WriteWithin(kComplaintLimit, STDERR_FILENO, line);
}
}  // namespace

int main(int argc, char** argv) {
  using lariat::base::Code;
  using lariat::lariatd::Server;
  lariat::env::posix::OpenStandardDescriptors();
  lariat::env::posix::IgnoreBrokenPipes();
  const uint64_t descriptors = lariat::env::posix::RaiseDescriptorLimit();
  auto options = lariat::lariatd::ParseOptions(argc, argv, environ);
  if (!options) {
    if (options.error().code == 0) {
      std::fputs(options.error().text.c_str(), stdout);
    } else {
      lariat::env::posix::WriteWithin(kComplaintLimit, STDERR_FILENO, options.error().text);
    }
    return options.error().code;
  }
  if (options->print_config) {
    std::fputs(options->printed_config.c_str(), stdout);
    return 0;
  }
  if (auto status = lariat::lariatd::CheckListeners(options->settings); !status) {
    Complain(status.error().message);
    return 2;
  }
  const auto read_again = [argc, argv] { return lariat::lariatd::ReadAgain(argc, argv, environ); };
  for (int salvages_left = kSalvagesMax;;) {
    Server server(options->settings, read_again, {salvages_left > 0, descriptors});
    if (auto status = server.Open(); !status) {
      Complain(status.error().message);
      const bool usage = status.error().code == Code::kInvalidArgument;
      return usage ? 2 : 1;
    }
    const int code = server.Run();
    if (code == Server::kAgain) --salvages_left;
    if (code != Server::kAgain && code != Server::kAfresh) return code;
    options->settings = server.settings();
    // Until the next one listens: a copy takes a while, and there is nothing to be read again.
    server.IgnoreReload();
  }
}
