// SPDX-License-Identifier: Apache-2.0
// The description of the interface, src/frontend/http/openapi.json, embedded when it is built.
#pragma once

#include <string_view>

namespace lariat::frontend::http {

std::string_view OpenApiJson();

}  // namespace lariat::frontend::http
