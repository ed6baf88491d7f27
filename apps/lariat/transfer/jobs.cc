// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/jobs.h"

#include <fmt/format.h>

#include "apps/lariat/net/address.h"
#include "apps/lariat/session.h"
#include "base/coding.h"
#include "base/hash.h"
#include "base/uuid.h"

namespace lariat::cli::transfer {

std::string IdempotencyKey(const ImportOptions& options, const Record& record) {
  std::string parts;
  base::ByteWriter writer(&parts);
  writer.Sized(options.source);
  writer.Sized(options.salt);
  writer.Sized(options.bucket);
  writer.Sized(record.key);
  writer.Sized(record.content_type);
  writer.U64(static_cast<uint64_t>(record.ttl_s.value_or(-1)));
  if (record.expires_ms) writer.U64(static_cast<uint64_t>(*record.expires_ms));
  if (record.sibling > 0) writer.U32(record.sibling);
  writer.Raw(record.value);
  base::Hash128 hash = base::HashOf128(parts);
  constexpr uint64_t kVersionBits = 0xF000;
  constexpr uint64_t kVariantBits = uint64_t{3} << 62;
  base::Uuid uuid{(hash.high & ~kVersionBits) | 0x5000,
                  (hash.low & ~kVariantBits) | uint64_t{2} << 62};
  return uuid.ToString();
}

Verdict JudgeError(const net::Response& response) {
  ErrorBody error = ParseErrorBody(response.body);
  std::string reason =
      fmt::format("HTTP {}{}{}", response.status, error.code.empty() ? "" : " ", error.code);
  bool later = response.status == 429 || (response.status >= 502 && response.status <= 504);
  return {later ? Verdict::Kind::kRetry : Verdict::Kind::kFailed, reason,
          error.message.empty() ? reason : error.message};
}

net::Request ImportJob::Make(const Record& record) {
  net::Request request;
  request.method = "PUT";
  request.target = fmt::format("/buckets/{}/kv/{}{}", net::PercentEncode(options_.bucket),
                               net::PercentEncode(record.key), options_.query);
  request.headers.emplace_back("Idempotency-Key", IdempotencyKey(options_, record));
  if (!record.content_type.empty()) {
    request.headers.emplace_back("Content-Type", record.content_type);
  }
  auto ttl_s = record.ttl_s;
  if (record.expires_ms && *record.expires_ms != 0) {
    ttl_s = std::max<int64_t>(1, (*record.expires_ms - NowMs() + 999) / 1000);
  }
  if (ttl_s) request.headers.emplace_back("X-TTL", std::to_string(*ttl_s));
  request.body = record.value;
  return request;
}

Verdict ImportJob::Judge(const Record&, const net::Response& response) {
  if (!response.Ok()) return JudgeError(response);
  Verdict done;
  done.already = response.Header("x-replayed") == "true";
  return done;
}

net::Request VerifyJob::Make(const Record& record) {
  net::Request request;
  request.target = fmt::format("/buckets/{}/kv/{}{}", net::PercentEncode(bucket_),
                               net::PercentEncode(record.key), query_);
  return request;
}

// Whether every part of a multipart body is this value. A request whose answer was lost with its
// coordinator may have been made twice, when its repeat could not know of it.
static bool AllPartsAre(const std::string& value, const net::Response& response) {
  constexpr std::string_view kMark = "boundary=";
  const std::string type(response.Header("content-type"));
  const size_t mark = type.find(kMark);
  if (mark == std::string::npos) return false;
  std::string boundary = type.substr(mark + kMark.size());
  std::erase(boundary, '"');
  const std::string start = "--" + boundary + "\r\n";
  size_t parts = 0;
  for (size_t at = response.body.find(start); at != std::string::npos;
       at = response.body.find(start, at + 1)) {
    const size_t head_end = response.body.find("\r\n\r\n", at);
    if (head_end == std::string::npos) return false;
    const std::string_view rest = std::string_view(response.body).substr(head_end + 4);
    if (!rest.starts_with(value)) return false;
    if (!rest.substr(value.size()).starts_with("\r\n--" + boundary)) return false;
    ++parts;
  }
  return parts > 1;
}

Verdict VerifyJob::Judge(const Record& record, const net::Response& response) {
  if (response.status == 300) {
    if (AllPartsAre(record.value, response)) return {.twice = true};
    return {Verdict::Kind::kFailed, "siblings", "has several concurrent values"};
  }
  if (response.status == 404) return {Verdict::Kind::kFailed, "missing", "is not there"};
  if (!response.Ok()) return JudgeError(response);
  if (response.body == record.value) return {};
  return {Verdict::Kind::kFailed, "different",
          fmt::format("{} bytes are stored that differ from the {} of the file",
                      response.body.size(), record.value.size())};
}

}  // namespace lariat::cli::transfer
