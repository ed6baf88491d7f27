// SPDX-License-Identifier: Apache-2.0
// The files of the page at "/", compiled in. Constants.
#pragma once

#include <span>
#include <string_view>

namespace lariat::frontend::http {

struct ConsoleFile {
  std::string_view path;  // of the request
  std::string_view type;
  std::string_view text;
};

std::span<const ConsoleFile> ConsoleFiles();

}  // namespace lariat::frontend::http
