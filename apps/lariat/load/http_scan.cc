// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/http_scan.h"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace lariat::cli::load {

namespace {

constexpr size_t kHeadMax = 64 << 10;

bool NameIs(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ':' &&
         strncasecmp(line.data(), name.data(), name.size()) == 0;
}

std::string_view ValueOf(std::string_view line, size_t name_size) {
  line.remove_prefix(name_size + 1);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  return line;
}

}  // namespace

Scan ScanReply(std::string_view text) {
  Scan out;
  size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (text.size() > kHeadMax) out.state = Scan::State::kBad;
    return out;
  }
  auto bad = [] {
    Scan scan;
    scan.state = Scan::State::kBad;
    return scan;
  };
  std::string_view head = text.substr(0, end);
  if (head.size() < 12 || !head.starts_with("HTTP/1.1 ")) return bad();
  if (std::from_chars(head.data() + 9, head.data() + 12, out.status).ec != std::errc())
    return bad();
  bool bodiless = out.status == 204 || out.status == 304;
  bool has_length = bodiless;
  size_t length = 0;
  for (size_t at = head.find("\r\n"); at < head.size();) {
    size_t next = std::min(head.find("\r\n", at + 2), head.size());
    std::string_view line = head.substr(at + 2, next - at - 2);
    at = next;
    if (NameIs(line, "content-length")) {
      std::string_view value = ValueOf(line, 14);
      auto result = std::from_chars(value.data(), value.data() + value.size(), length);
      if (result.ec != std::errc()) return bad();
      has_length = true;
    } else if (NameIs(line, "x-context")) {
      out.context = ValueOf(line, 9);
    } else if (NameIs(line, "connection")) {
      out.closes = strncasecmp(ValueOf(line, 10).data(), "close", 5) == 0;
    }
  }
  if (!has_length) return bad();  // chunked, or until the end: not what a Lariat node sends
  if (bodiless) length = 0;
  if (text.size() - end - 4 < length) return out;
  out.state = Scan::State::kWhole;
  out.size = end + 4 + length;
  out.value = text.substr(end + 4, length);
  return out;
}

}  // namespace lariat::cli::load
