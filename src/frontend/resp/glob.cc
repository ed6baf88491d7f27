// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/glob.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace lariat::frontend::resp {
namespace {

char Folded(char c, Case matters) {
  if (matters == Case::kMatters) return c;
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

// Whether the class at the front of `pattern`, "[a-c]", has `c`; takes it from the pattern.
bool InClass(std::string_view* pattern, char c, Case matters) {
  pattern->remove_prefix(1);
  const bool inverted = pattern->starts_with('^');
  if (inverted) pattern->remove_prefix(1);
  bool found = false;
  while (!pattern->empty() && pattern->front() != ']') {
    if (pattern->front() == '\\' && pattern->size() > 1) pattern->remove_prefix(1);
    const char low = Folded(pattern->front(), matters);
    char high = low;
    if (pattern->size() > 2 && (*pattern)[1] == '-' && (*pattern)[2] != ']') {
      high = Folded((*pattern)[2], matters);
      pattern->remove_prefix(2);
    }
    pattern->remove_prefix(1);
    const auto at = static_cast<unsigned char>(c);
    // By value: of two arguments minmax would keep references to what is gone.
    const auto [first, last] =
        std::minmax({static_cast<unsigned char>(low), static_cast<unsigned char>(high)});
    found = found || (first <= at && at <= last);
  }
  if (!pattern->empty()) pattern->remove_prefix(1);
  return found != inverted;
}

// Takes what stands for one character from the pattern's front.
bool MatchesOne(std::string_view* pattern, char c, Case matters) {
  c = Folded(c, matters);
  if (pattern->front() == '[') return InClass(pattern, c, matters);
  const bool any = pattern->front() == '?';
  if (pattern->front() == '\\' && pattern->size() > 1) pattern->remove_prefix(1);
  const bool matches = any || Folded(pattern->front(), matters) == c;
  pattern->remove_prefix(1);
  return matches;
}

}  // namespace

bool GlobMatches(std::string_view pattern, std::string_view text, Case matters) {
  // The last star, and what it has taken: when the rest does not fit it takes one more.
  std::string_view after_star;
  std::string_view taken_to;
  bool star = false;
  for (;;) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      star = true;
      after_star = pattern;
      taken_to = text;
      continue;
    }
    if (text.empty() && pattern.empty()) return true;
    if (!text.empty() && !pattern.empty() && MatchesOne(&pattern, text.front(), matters)) {
      text.remove_prefix(1);
      continue;
    }
    if (!star || taken_to.empty()) return false;
    taken_to.remove_prefix(1);
    pattern = after_star;
    text = taken_to;
  }
}

}  // namespace lariat::frontend::resp
