// SPDX-License-Identifier: Apache-2.0
// How a request ended, in every reply. kOk: done. A value type.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace lariat::wire {

struct Outcome {
  base::Code code = base::Code::kOk;
  std::string error;
  uint32_t needed = 0;
  uint32_t alive = 0;
  std::shared_ptr<const base::Winner> winner = nullptr;  // as in base::Error

  bool ok() const { return code == base::Code::kOk; }
  base::Error ToError() const { return {code, error, needed, alive, winner}; }
  static Outcome From(const base::Error& e) {
    return {e.code, e.message, e.needed, e.alive, e.winner};
  }
};

}  // namespace lariat::wire
