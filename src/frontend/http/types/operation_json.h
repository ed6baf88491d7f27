// SPDX-License-Identifier: Apache-2.0
// The body of a POST on a key: one operation on a value that merges, as JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "causal/types/operation.h"

namespace lariat::frontend::http {

struct OperationBody {
  causal::Operation operation;
  std::optional<std::string> context;
};

// `bucket` is what the bucket holds: `{"add": [...]}` alone may mean two types. kInvalidArgument:
// it is no operation; strict, so that nothing that was said is passed over: unknown members, names
// given twice. kWrongType: its "type" is not the bucket's.
base::Result<OperationBody> ReadOperation(std::string_view body, causal::Kind bucket);

}  // namespace lariat::frontend::http
