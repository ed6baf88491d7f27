// SPDX-License-Identifier: Apache-2.0
#include "client/wire/resp_value.h"

#include <charconv>

namespace lariat::client {
namespace {

constexpr int kDepthMax = 8;
constexpr int64_t kBulkBytesMax = int64_t{64} << 20;
constexpr int64_t kPartsMax = 65536;
constexpr size_t kLineBytesMax = 64 << 10;

using State = RespParsed::State;

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  size_t at() const { return at_; }

  State Read(RespValue& value, int depth) {
    std::string_view line;
    const State state = ReadLine(line);
    if (state != State::kWhole) return state;
    if (line.empty() || depth > kDepthMax) return State::kBad;
    const char type = line.front();
    line.remove_prefix(1);
    switch (type) {
      case '+':
      case ':':
      case ',':
      case '(':
      case '#':
        value.kind = RespValue::Kind::kText;
        value.text = std::string(line);
        return State::kWhole;
      case '-':
        value.kind = RespValue::Kind::kError;
        value.text = std::string(line);
        return State::kWhole;
      case '_':
        return State::kWhole;
      case '$':
      case '!':
      case '=':
        return ReadBulk(type, line, value);
      default:
        return ReadParts(type, line, value, depth);
    }
  }

 private:
  State ReadLine(std::string_view& line) {
    const size_t end = in_.find("\r\n", at_);
    if (end == std::string_view::npos) {
      return in_.size() - at_ > kLineBytesMax ? State::kBad : State::kMore;
    }
    line = in_.substr(at_, end - at_);
    at_ = end + 2;
    return State::kWhole;
  }

  static bool ReadCount(std::string_view text, int64_t max, int64_t& count) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    return error == std::errc() && end == text.data() + text.size() && count >= -1 && count <= max;
  }

  State ReadBulk(char type, std::string_view line, RespValue& value) {
    int64_t count = 0;
    if (!ReadCount(line, kBulkBytesMax, count)) return State::kBad;
    if (count < 0) return State::kWhole;  // RESP2's null
    const auto size = static_cast<size_t>(count);
    if (in_.size() - at_ < size + 2) return State::kMore;
    if (in_.substr(at_ + size, 2) != "\r\n") return State::kBad;
    value.kind = type == '!' ? RespValue::Kind::kError : RespValue::Kind::kText;
    value.text = std::string(in_.substr(at_, size));
    if (type == '=') value.text.erase(0, 4);  // "txt:"
    at_ += size + 2;
    return State::kWhole;
  }

  State ReadParts(char type, std::string_view line, RespValue& value, int depth) {
    constexpr std::string_view kTypes = "*%~>|";
    int64_t count = 0;
    if (kTypes.find(type) == std::string_view::npos) return State::kBad;
    if (!ReadCount(line, kPartsMax, count)) return State::kBad;
    if (count < 0) return State::kWhole;
    const bool pairs = type == '%' || type == '|';
    value.kind = pairs         ? RespValue::Kind::kMap
                 : type == '>' ? RespValue::Kind::kPush
                               : RespValue::Kind::kArray;
    for (int64_t i = 0; i < (pairs ? 2 * count : count); ++i) {
      const State state = Read(value.parts.emplace_back(), depth + 1);
      if (state != State::kWhole) return state;
    }
    if (type != '|') return State::kWhole;
    value = {};  // attributes: the value that they belong to follows
    return Read(value, depth + 1);
  }

  std::string_view in_;
  size_t at_ = 0;
};

}  // namespace

const RespValue* RespValue::Find(std::string_view name) const {
  for (size_t i = 0; i + 1 < parts.size(); i += 2) {
    if (parts[i].text == name) return &parts[i + 1];
  }
  return nullptr;
}

std::string RespValue::Text(std::string_view name) const {
  const RespValue* found = Find(name);
  return found == nullptr ? std::string() : found->text;
}

int64_t RespValue::Number(std::string_view name) const {
  const std::string digits = Text(name);
  int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

RespParsed ParseResp(std::string_view in, RespValue& value) {
  Reader reader(in);
  const State state = reader.Read(value, 0);
  return {state, reader.at()};
}

}  // namespace lariat::client
