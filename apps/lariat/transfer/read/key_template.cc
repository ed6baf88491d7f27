// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/key_template.h"

#include <fmt/format.h>

namespace lariat::cli::transfer {

base::Result<KeyTemplate> KeyTemplate::Parse(std::string_view text) {
  auto bad = [&](const char* why) {
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("key template '{}': {}", text, why));
  };
  std::vector<Piece> pieces;
  std::string literal;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool doubled = i + 1 < text.size() && text[i + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      literal += c;
      ++i;
    } else if (c == '{') {
      size_t end = text.find('}', i);
      if (end == std::string_view::npos) return bad("a '{' is not closed");
      if (end == i + 1) return bad("'{}' names no field");
      if (!literal.empty()) pieces.push_back({std::exchange(literal, ""), false});
      pieces.push_back({std::string(text.substr(i + 1, end - i - 1)), true});
      i = end;
    } else if (c == '}') {
      return bad("a '}' without a '{'");
    } else {
      literal += c;
    }
  }
  if (!literal.empty()) pieces.push_back({literal, false});
  for (const Piece& piece : pieces) {
    if (piece.is_field) return KeyTemplate(std::move(pieces));
  }
  return bad("it names no field, so all keys would be the same");
}

base::Result<std::string> KeyTemplate::Expand(const Lookup& lookup) const {
  std::string key;
  for (const Piece& piece : pieces_) {
    if (!piece.is_field) {
      key += piece.text;
      continue;
    }
    auto value = lookup(piece.text);
    if (!value) {
      return base::Fail(base::Code::kInvalidArgument, fmt::format("no field '{}'", piece.text));
    }
    key += *value;
  }
  return key;
}

}  // namespace lariat::cli::transfer
