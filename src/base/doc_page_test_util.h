// SPDX-License-Identifier: Apache-2.0
// For tests of what generates a page or file of docs/.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace lariat::base {

// Compares with the checked-in file; LARIAT_UPDATE_DOCS=1 writes it instead.
inline void ExpectCurrent(const std::filesystem::path& path, const std::string& generated) {
  if (std::getenv("LARIAT_UPDATE_DOCS") != nullptr) {
    std::ofstream(path, std::ios::binary) << generated;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string found{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(found == generated)
      << path << " is out of date; run this test once with LARIAT_UPDATE_DOCS=1";
}

}  // namespace lariat::base
