// SPDX-License-Identifier: Apache-2.0
#include "config/internal/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace lariat::config::internal {
namespace {

// Longer names are not worth the quadratic comparison: no setting is that long.
constexpr size_t kNameBytesMax = 128;

// A hint that differs in more than a third of its letters is a guess, not a hint.
size_t Tolerance(std::string_view name) { return std::max<size_t>(2, name.size() / 3); }

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        next[j] = std::min(next[j], before[j - 2] + 1);
      }
    }
    before.swap(row);
    row.swap(next);
  }
  return row[b.size()];
}

const SettingInfo* NearestSetting(std::string_view key) {
  if (key.size() > kNameBytesMax) return nullptr;
  const std::string_view bare = key.substr(key.find('.') + 1);
  const SettingInfo* nearest = nullptr;
  size_t best = Tolerance(key) + 1;
  for (const SettingInfo& info : SettingTable()) {
    // The right name in the wrong section, or without one, is the commonest mistake.
    const size_t distance = bare == info.name ? 1 : EditDistance(key, info.key());
    if (distance >= best) continue;
    best = distance;
    nearest = &info;
  }
  return nearest;
}

std::string_view NearestSection(std::string_view section) {
  if (section.size() > kNameBytesMax) return {};
  std::string_view nearest;
  size_t best = Tolerance(section) + 1;
  for (const std::string_view known : Sections()) {
    const size_t distance = EditDistance(section, known);
    if (distance >= best) continue;
    best = distance;
    nearest = known;
  }
  return nearest;
}

std::string UnknownKey(std::string_view key) {
  const SettingInfo* nearest = NearestSetting(key);
  if (nearest == nullptr) return fmt::format("{}: unknown key", key);
  return fmt::format("{}: unknown key (did you mean {}?)", key, nearest->key());
}

}  // namespace lariat::config::internal
