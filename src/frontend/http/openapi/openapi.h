// SPDX-License-Identifier: Apache-2.0
// The description of the interface for programs. Paths are made from routes.def, what operators are
// told from coordinator/admin_replies.def; the rest stands in parts.json, which is embedded when
// this is built. docs/openapi.json is its text, held to it by a test.
#pragma once

#include <string>
#include <string_view>

namespace lariat::frontend::http {

std::string OpenApiJson();
std::string_view OpenApiParts();  // the text of parts.json

}  // namespace lariat::frontend::http
