// SPDX-License-Identifier: Apache-2.0
// The buckets of the present topology, as clients ask for them: KvService says what each call
// means. The shard's thread.
#pragma once

#include <string>
#include <vector>

#include "coordinator/internal/op_context.h"
#include "coordinator/kv_service.h"

namespace lariat::coordinator {

class Buckets {
 public:
  explicit Buckets(OpContext& context) : context_(context) {}

  std::vector<membership::BucketProperties> All() const;
  base::Result<membership::BucketProperties> Find(const std::string& name) const;
  void Set(membership::BucketProperties bucket, StatusDone done);

 private:
  OpContext& context_;
};

}  // namespace lariat::coordinator
