// SPDX-License-Identifier: Apache-2.0
// How a request ended, in every reply. kOk: done. A value type.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace lariat::wire {

struct Outcome {
  base::Code code = base::Code::kOk;
  std::string error;
  uint32_t needed = 0;
  uint32_t alive = 0;

  bool ok() const { return code == base::Code::kOk; }
  base::Error ToError() const { return {code, error, needed, alive}; }
  static Outcome From(const base::Error& e) { return {e.code, e.message, e.needed, e.alive}; }
};

}  // namespace lariat::wire
