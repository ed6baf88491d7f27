// SPDX-License-Identifier: Apache-2.0
#include "bench/load/resp_driver.h"

#include <fmt/format.h>

#include <charconv>
#include <deque>

#include "apps/lariat/load/keys.h"

namespace lariat::bench {

namespace {

using cli::load::Op;
using cli::load::Scan;

constexpr size_t kLineMax = 4096;
constexpr int kWaitMs = 5000;  // a WAIT that takes so long has failed

Scan Bad() {
  Scan scan;
  scan.state = Scan::State::kBad;
  return scan;
}

// One reply of a kind that GET, SET and WAIT give. `number`: of an integer.
Scan ScanResp(std::string_view text, int64_t* number) {
  Scan out;
  const size_t end = text.find("\r\n");
  if (end == std::string_view::npos) return text.size() > kLineMax ? Bad() : out;
  if (end == 0) return Bad();
  out.size = end + 2;
  out.status = 200;
  if (text[0] == '-') {
    out.status = 500;
    out.value = text.substr(0, end);
  }
  if (text[0] == ':' || text[0] == '$') {
    const auto read = std::from_chars(text.data() + 1, text.data() + end, *number);
    if (read.ec != std::errc() || read.ptr != text.data() + end) return Bad();
  } else if (text[0] != '+' && text[0] != '-') {
    return Bad();
  }
  if (text[0] == '$' && *number < 0) out.status = 404;
  if (text[0] == '$' && *number >= 0) {
    const auto length = static_cast<size_t>(*number);
    if (text.size() - out.size < length + 2) return {};
    out.value = text.substr(out.size, length);
    out.size += length + 2;
  }
  out.state = Scan::State::kWhole;
  return out;
}

class RespDriver : public cli::load::Driver {
 public:
  explicit RespDriver(uint32_t replicas) : replicas_(replicas) {
    if (replicas_ == 0) return;
    const std::string count = std::to_string(replicas_);
    const std::string limit = std::to_string(kWaitMs);
    wait_ = fmt::format("*3\r\n$4\r\nWAIT\r\n${}\r\n{}\r\n${}\r\n{}\r\n", count.size(), count,
                        limit.size(), limit);
  }

  void Append(const Op& op, std::string_view value, std::string_view /*context*/,
              std::string* out) override {
    *out += op.get ? "*2\r\n$3\r\nGET\r\n" : "*3\r\n$3\r\nSET\r\n";
    AppendBulk(cli::load::KeyText(op.key), out);
    if (op.get) return Expect(Reply::kAnswer);
    AppendBulk(value, out);
    if (replicas_ == 0) return Expect(Reply::kAnswer);
    *out += wait_;
    Expect(Reply::kSetBeforeWait);
  }

  Scan Take(std::string_view in, std::string* /*out*/) override {
    if (in.empty()) return {};
    if (expected_.empty()) return Bad();
    int64_t number = 0;
    if (expected_.front() == Reply::kAnswer) return Done(ScanResp(in, &number));
    const Scan set = ScanResp(in, &number);
    if (set.state != Scan::State::kWhole) return set;
    Scan wait = ScanResp(in.substr(set.size), &number);
    if (wait.state != Scan::State::kWhole) return wait.state == Scan::State::kBad ? wait : Scan{};
    wait.size += set.size;
    if (set.status != 200) wait.status = set.status;
    if (wait.status == 200 && number < static_cast<int64_t>(replicas_)) wait.status = 503;
    return Done(wait);
  }

 private:
  enum class Reply : uint8_t { kAnswer, kSetBeforeWait };

  static void AppendBulk(std::string_view text, std::string* out) {
    fmt::format_to(std::back_inserter(*out), "${}\r\n", text.size());
    *out += text;
    *out += "\r\n";
  }
  void Expect(Reply reply) { expected_.push_back(reply); }
  Scan Done(const Scan& scan) {
    if (scan.state == Scan::State::kWhole) expected_.pop_front();
    return scan;
  }

  uint32_t replicas_;
  std::string wait_;
  std::deque<Reply> expected_;  // of the requests under way, oldest first
};

}  // namespace

cli::load::MakeDriver RespDrivers(uint32_t replicas) {
  return [replicas](const cli::load::Endpoint&) { return std::make_unique<RespDriver>(replicas); };
}

}  // namespace lariat::bench
