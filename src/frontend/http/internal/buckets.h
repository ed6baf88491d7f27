// SPDX-License-Identifier: Apache-2.0
// The properties of a bucket, from the one table of buckets.def.
#pragma once

#include <string_view>
#include <vector>

namespace lariat::frontend::http {

// What a row says to programs. Schemas are JSON without its braces.
struct PropertyInfo {
  std::string_view name;
  std::string_view schema;
  std::string_view asked;  // of a PUT; empty: the same
};
std::vector<PropertyInfo> PropertyTable();

}  // namespace lariat::frontend::http
