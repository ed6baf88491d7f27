// SPDX-License-Identifier: Apache-2.0
// What can be said of a request before its body is read.
#pragma once

#include <cstdint>
#include <optional>

#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/request.h"
#include "frontend/http/internal/routes.h"

namespace lariat::frontend::http {

// The most that a body may have. `value_bytes_max` is the limit on a value.
uint64_t BodyBytesMax(BodyRule rule, uint64_t value_bytes_max);
Refusal BodyTooLarge(BodyRule rule, uint64_t value_bytes_max);
// Expectation, length, type and coding of the body: 411, 413, 415, 417.
std::optional<Refusal> CheckHead(const Request& request, BodyRule rule, uint64_t value_bytes_max);

}  // namespace lariat::frontend::http
