// SPDX-License-Identifier: Apache-2.0
// The items of a batch: what each operation takes and what its result says. An item's members are
// those of the single request, in its body, its head and its query alike. Another operation is a
// row of kOperations in items.cc.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "coordinator/kv_service.h"
#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/json_writer.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {

inline constexpr size_t kBatchItemsMax = 128;

// The texts of the objects in {"operations": [...]}, within `body`. kInvalidArgument: it is not of
// that form; kTooLarge: they are too many.
base::Result<std::vector<std::string_view>> SplitBatch(std::string_view body);

// What an item says nothing about.
struct BatchDefaults {
  std::string bucket;
  coordinator::Consistency consistency;
  std::string idempotency_key;  // of the batch; empty: none
  // What its buckets hold decides what an update says, if the caller may know that.
  Shared* shared = nullptr;
  coordinator::Caller caller;
};

using BatchItem = std::variant<coordinator::GetRequest, coordinator::WriteRequest>;
// kInvalidArgument: the item cannot be understood; it says nothing about the others.
base::Result<BatchItem> ReadItem(std::string_view text, size_t index,
                                 const BatchDefaults& defaults);

// Results, each a JSON object.
std::string GetResult(std::string_view key, const coordinator::GetReply& reply);
std::string WriteResult(std::string_view key, bool is_delete, const coordinator::WriteReply& reply);
std::string ErrorResult(const Refusal& refusal, std::string_view context = {});

}  // namespace lariat::frontend::http
