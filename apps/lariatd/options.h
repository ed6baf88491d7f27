// SPDX-License-Identifier: Apache-2.0
// The command line of lariatd.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "config/parser.h"

namespace lariat::lariatd {

struct Options {
  config::Settings settings;
  std::string config_file;  // empty if none was given
  bool print_config = false;
  std::string printed_config;
};

struct Exit {
  int code = 0;
  std::string text;  // for stderr, or for stdout when the code is 0
};

// Flags over environment over file over defaults. An Exit when there is nothing to run: --help,
// --version, or a mistake (code 2).
tl::expected<Options, Exit> ParseOptions(int argc, char** argv, char** environment);
// The settings as they are now in the file, under the same flags and environment: for SIGHUP.
base::Result<config::Settings> ReadAgain(int argc, char** argv, char** environment);
// kInvalidArgument if a listener is open to others while there is no authentication.
base::Status CheckListeners(const config::Settings& settings);

}  // namespace lariat::lariatd
