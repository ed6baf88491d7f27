// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/list_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/base64.h"

namespace lariat::cli::transfer {

namespace json = boost::json;

namespace {

constexpr int kTries = 8;
constexpr std::chrono::milliseconds kFirstPause{50};

// It may be answered a moment later: too much to do, or replicas that were late.
bool IsPassing(const net::Outcome& outcome) {
  return outcome && (outcome->status == 503 || outcome->status == 504);
}

}  // namespace

net::Request ListPages::Request() const {
  const bool range = options_.start || options_.end;
  std::vector<std::pair<std::string, std::string>> query = {
      {"limit", std::to_string(options_.limit)}};
  if (options_.values) query.emplace_back("values", "true");
  if (!cursor_.empty()) query.emplace_back("cursor", cursor_);
  if (options_.r) query.emplace_back("r", std::to_string(*options_.r));
  if (options_.prefix) query.emplace_back("prefix", *options_.prefix);
  if (options_.start) query.emplace_back("start", *options_.start);
  if (options_.end) query.emplace_back("end", *options_.end);
  const char* path = options_.prefix ? "/buckets/{}/kv{}"
                     : range         ? "/v1/buckets/{}/kv/range{}"
                                     : "/v1/buckets/{}/keys{}";
  net::Request request;
  request.target =
      fmt::format(fmt::runtime(path), net::PercentEncode(options_.bucket), net::QueryString(query));
  if (!options_.consistency.empty()) {
    request.headers.emplace_back("Consistency", options_.consistency);
  }
  return request;
}

tl::expected<std::optional<json::array>, Exit> ListPages::Next() {
  if (ended_) return std::nullopt;
  const net::Request request = Request();
  net::Outcome outcome = client_.Send(request);
  for (int i = 1; i < kTries && IsPassing(outcome); ++i) {
    std::this_thread::sleep_for(kFirstPause * (1 << std::min(i, 5)));
    outcome = client_.Send(request);
  }
  auto page = Answer(client_, outcome);
  if (!page) return tl::unexpected(page.error());
  cursor_ = TextOf(*page, "next_cursor");
  ended_ = !FlagOf(*page, "has_more");
  return ArrayOf(*page, options_.values ? "pairs" : "keys");
}

std::string ListedKey(const json::value& key) {
  if (key.is_string()) return std::string(key.as_string());
  return base::Base64Decode(TextOf(key, "base64")).value_or("");
}

std::string KeyOfPair(const json::value& pair) {
  const json::value* key = pair.is_object() ? pair.as_object().if_contains("key") : nullptr;
  return key == nullptr ? "" : ListedKey(*key);
}

}  // namespace lariat::cli::transfer
