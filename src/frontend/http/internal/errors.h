// SPDX-License-Identifier: Apache-2.0
// The one place where errors become HTTP: status, code text and what is counted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/labels.h"

namespace lariat::frontend::http {

// A reply that says no. `code` is part of the interface (docs/http.md).
struct Refusal {
  int status = 400;
  std::string_view code;  // static text
  std::string message;
  std::string allow = {};  // methods, for 405
  uint32_t needed = 0;     // for insufficient_replicas
  uint32_t alive = 0;
  bool retry_after = false;
  std::optional<uint64_t> version = {};  // in serial buckets: what the key has
  std::shared_ptr<const base::Winner> winner = {};
};

Refusal ToRefusal(base::Error error);
telemetry::Outcome OutcomeOf(base::Code code);

// Errors that only HTTP has.
Refusal BadRequest(std::string message);
Refusal NotInThisVersion(std::string what);

}  // namespace lariat::frontend::http
