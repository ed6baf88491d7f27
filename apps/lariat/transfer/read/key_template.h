// SPDX-License-Identifier: Apache-2.0
// Keys made of a record's fields: "{Package}_{Version}". "{{" and "}}" stand for braces.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lariat::cli::transfer {

class KeyTemplate {
 public:
  static base::Result<KeyTemplate> Parse(std::string_view text);
  // A template of one field.
  static KeyTemplate Field(std::string name) { return KeyTemplate({{std::move(name), true}}); }

  using Lookup = std::function<std::optional<std::string>(const std::string& field)>;
  // Fails, naming the field, if the record has not all of them.
  base::Result<std::string> Expand(const Lookup& lookup) const;

 private:
  struct Piece {
    std::string text;
    bool is_field;
  };
  explicit KeyTemplate(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}
  std::vector<Piece> pieces_;
};

}  // namespace lariat::cli::transfer
