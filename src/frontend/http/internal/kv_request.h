// SPDX-License-Identifier: Apache-2.0
// From a request's path, query and headers to what KvService takes: the part that both dialects
// have in common. Everything unknown or malformed is kInvalidArgument.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/kv_service.h"
#include "frontend/http/internal/request.h"
#include "frontend/http/types/typed_reply.h"

namespace lariat::frontend::http {

inline constexpr std::string_view kDefaultBucket = "default";
inline constexpr size_t kContentTypeBytesMax = 256;

// Decoded; "default" where the path names none.
base::Result<std::string> BucketOf(const Request& request);

// Bucket, key and consistency; of a set or map also what part of it, if that may be asked.
base::Result<coordinator::GetRequest> ReadGet(const Request& request, TypeQuery* query = nullptr);
// All but the value, its content type and what a JSON body may add.
base::Result<coordinator::WriteRequest> ReadPut(const Request& request);
base::Result<coordinator::WriteRequest> ReadDelete(const Request& request);

// Fit for a reply's head, and short.
base::Status CheckContentType(std::string_view type);

}  // namespace lariat::frontend::http
