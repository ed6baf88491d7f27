// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/request.h"

#include <algorithm>
#include <charconv>

namespace lariat::frontend::http {
namespace {

// In the order of Header.
constexpr std::array<std::string_view, static_cast<size_t>(Header::kCount)> kHeaderNames = {
    "Accept",          "Content-Type",        "Content-Encoding", "Expect",
    "Consistency",     "X-Consistency-Level", "X-Consistency",    "X-Context",
    "X-TTL",           "X-Client-Timestamp",  "If-Match",         "If-None-Match",
    "Idempotency-Key", "Authorization"};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = Lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::string_view HeaderName(Header header) { return kHeaderNames[static_cast<size_t>(header)]; }

std::optional<Header> FindHeader(std::string_view name) {
  for (size_t i = 0; i < kHeaderNames.size(); ++i) {
    if (EqualsIgnoringCase(name, kHeaderNames[i])) return static_cast<Header>(i);
  }
  return std::nullopt;
}

std::optional<std::string_view> Request::Get(Header header) const {
  if (!Has(header)) return std::nullopt;
  return values[static_cast<size_t>(header)];
}

void Request::Set(Header header, std::string_view value) {
  values[static_cast<size_t>(header)] = value;
  present.set(static_cast<size_t>(header));
}

void Request::Clear() {
  method = Method::kOther;
  target.clear();
  body.clear();
  http11 = keep_alive = true;
  chunked = false;
  content_length.reset();
  path = query = {};
  bucket_segment.reset();
  key_segment.reset();
  task_segment.reset();
  name_segment.reset();
  present.reset();
}

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (;;) {
    const size_t percent = std::min(text.find('%'), text.size());
    out.append(text.substr(0, percent));
    text.remove_prefix(percent);
    if (text.empty()) return out;
    if (text.size() < 3) return std::nullopt;
    const int high = HexDigit(text[1]);
    const int low = HexDigit(text[2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    text.remove_prefix(3);
  }
}

std::optional<int64_t> ParseCount(std::string_view text) {
  if (text.empty() || text[0] == '-') return std::nullopt;
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, ec] = std::from_chars(text.data(), end, value);
  if (ec != std::errc() || parsed != end) return std::nullopt;
  return value;
}

base::Result<std::vector<Parameter>> ParseQuery(std::string_view query) {
  std::vector<Parameter> parameters;
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(item.size() + 1, query.size()));
    if (item.empty()) continue;
    const size_t equals = std::min(item.find('='), item.size());
    auto name = PercentDecode(item.substr(0, equals));
    auto value = PercentDecode(item.substr(std::min(equals + 1, item.size())));
    if (!name || !value) {
      return base::Fail(base::Code::kInvalidArgument, "bad percent-encoding in the query");
    }
    for (const Parameter& earlier : parameters) {
      if (earlier.name == *name) {
        return base::Fail(base::Code::kInvalidArgument,
                          "query parameter '" + *name + "' is given twice");
      }
    }
    parameters.push_back({std::move(*name), std::move(*value)});
  }
  return parameters;
}

base::Error UnknownParameter(const Parameter& parameter) {
  return {base::Code::kInvalidArgument, "unknown query parameter '" + parameter.name + "'"};
}

}  // namespace lariat::frontend::http
