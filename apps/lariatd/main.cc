// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "apps/lariatd/options.h"
#include "apps/lariatd/server.h"

extern char** environ;

namespace {
// A disk that goes on damaging files is for people.
constexpr int kSalvagesMax = 3;
}  // namespace

int main(int argc, char** argv) {
  using lariat::base::Code;
  using lariat::lariatd::Server;
  auto options = lariat::lariatd::ParseOptions(argc, argv, environ);
  if (!options) {
    std::fputs(options.error().text.c_str(), options.error().code == 0 ? stdout : stderr);
    return options.error().code;
  }
  if (options->print_config) {
    std::fputs(options->printed_config.c_str(), stdout);
    return 0;
  }
  if (auto status = lariat::lariatd::CheckListeners(options->settings); !status) {
    std::fprintf(stderr, "lariatd: %s\n", status.error().message.c_str());
    return 2;
  }
  const auto read_again = [argc, argv] { return lariat::lariatd::ReadAgain(argc, argv, environ); };
  for (int salvages_left = kSalvagesMax;; --salvages_left) {
    Server server(options->settings, read_again, salvages_left > 0);
    if (auto status = server.Open(); !status) {
      std::fprintf(stderr, "lariatd: %s\n", status.error().message.c_str());
      const bool usage = status.error().code == Code::kInvalidArgument;
      return usage ? 2 : 1;
    }
    if (const int code = server.Run(); code != Server::kAgain) return code;
    options->settings = server.settings();
    // Until the next one listens: a copy takes a while, and there is nothing to be read again.
    server.IgnoreReload();
  }
}
