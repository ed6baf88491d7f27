// SPDX-License-Identifier: Apache-2.0
// A table for people: columns padded to their widest cell, two spaces between, no lines drawn.
#pragma once

#include <string>
#include <vector>

namespace lariat::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  // Shorter rows are filled with empty cells.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // With a newline after each row and no blanks at line ends.
  std::string Render(std::string_view indent = "") const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace lariat::cli
