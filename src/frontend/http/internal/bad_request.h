// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace lariat::frontend::http {

// The error of a request that cannot be understood: 400, with this text.
inline tl::unexpected<base::Error> Bad(std::string message) {
  return base::Fail(base::Code::kInvalidArgument, std::move(message));
}

}  // namespace lariat::frontend::http
