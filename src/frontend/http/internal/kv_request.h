// SPDX-License-Identifier: Apache-2.0
// From a request's path, query and headers to what KvService takes: the part that both dialects
// have in common. Everything unknown or malformed is kInvalidArgument.
#pragma once

#include <cstdint>
#include <optional>
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

// What is listed: all keys, those with a prefix, those between two bounds; or nothing, but counted.
enum class ListKind : uint8_t { kWalk, kPrefix, kRange, kStats };
base::Result<coordinator::ListRequest> ReadList(const Request& request, ListKind kind);

// Fit for a reply's head, and short.
base::Status CheckContentType(std::string_view type);

// --- the same texts where they stand elsewhere than in head and query (batch/)

// The levels of the head and the parameters of the query.
base::Result<coordinator::Consistency> ReadConsistency(const Request& request);
base::Result<coordinator::Level> ParseLevel(std::string_view text);
// Of the parameter with this name; null: it is none.
std::optional<int64_t>* CountOf(std::string_view name, coordinator::Consistency& consistency);
base::Status CheckTimeout(const coordinator::Consistency& consistency);
base::Status CheckKeySize(std::string_view key);
// The context in an If-Match ("*": any value); empty: it is none.
std::string_view ContextOfIfMatch(std::string_view text);
base::Result<std::string> ParseIdempotencyKey(std::string_view text, std::string_view name);

}  // namespace lariat::frontend::http
