// SPDX-License-Identifier: Apache-2.0
// The replies of coordinator/admin_replies.def, and buckets, as JSON schemas.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::frontend::http {

// {"$ref": ...} to a component.
boost::json::object Ref(const char* kind, std::string_view name);
// The parts of a row's text; empty ones are left out.
std::vector<std::string> Split(std::string_view text, char separator);

// Adds a schema for each reply of the table.
void AddReplies(boost::json::object& schemas);
// Adds those of a bucket and of a change of one, of buckets.def.
void AddBuckets(boost::json::object& schemas);

}  // namespace lariat::frontend::http
