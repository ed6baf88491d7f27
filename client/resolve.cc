// SPDX-License-Identifier: Apache-2.0
#include <lariat/types.h>

#include <algorithm>
#include <set>
#include <string_view>

namespace lariat {

Sibling ResolveLatest(const Key&, const std::vector<Sibling>& siblings) {
  return *std::max_element(siblings.begin(), siblings.end(),
                           [](const Sibling& a, const Sibling& b) {
                             if (a.timestamp_ms != b.timestamp_ms) {
                               return a.timestamp_ms < b.timestamp_ms;
                             }
                             return a.bytes < b.bytes;
                           });
}

Sibling ResolveSetUnion(const Key& key, const std::vector<Sibling>& siblings) {
  std::set<std::string_view> elements;
  for (const Sibling& sibling : siblings) {
    for (std::string_view rest = sibling.bytes; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      if (end > 0) elements.insert(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  Sibling out = ResolveLatest(key, siblings);
  std::string bytes;
  for (const std::string_view element : elements) {
    bytes += element;
    bytes += '\n';
  }
  out.bytes = std::move(bytes);
  return out;
}

}  // namespace lariat
