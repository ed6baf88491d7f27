// SPDX-License-Identifier: Apache-2.0
// The buckets behind SELECT: made when a command first needs one, which waits for it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "frontend/resp/internal/session.h"

namespace lariat::frontend::resp {

struct Shared;

class Databases {
 public:
  using Then = base::UniqueFunction<void(const base::Status&)>;

  bool Ready(uint32_t database) const { return ready_[database]; }
  // Its bucket turned out to be gone.
  void Forget(uint32_t database) { ready_[database] = false; }
  // `then` comes when the bucket is there or cannot be made, possibly before this returns. It holds
  // something that keeps `shared`, whose member this is.
  void WhenReady(Shared& shared, uint32_t database, Then then);

 private:
  void Make(Shared& shared, uint32_t database);
  void Look(Shared& shared, uint32_t database, base::Instant give_up);
  void End(uint32_t database, const base::Status& status);

  std::array<bool, kDatabases> ready_{};
  std::array<std::vector<Then>, kDatabases> waiting_;
};

}  // namespace lariat::frontend::resp
