// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/parser.h"

#include <charconv>
#include <utility>

namespace lariat::frontend::resp {
namespace {

constexpr size_t kLineBytesMax = 65536;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

char Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Takes one word from the front of `line` and appends it to `out`. False: its quotes do not match.
bool TakeWord(std::string_view* line, std::string* out) {
  size_t i = 0;
  char quote = 0;
  for (; i < line->size(); ++i) {
    const char c = (*line)[i];
    const size_t left = line->size() - i - 1;
    if (quote == 0 && IsBlank(c)) break;
    if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      if (left > 0 && !IsBlank((*line)[i + 1])) return false;
      quote = 0;
    } else if (quote == '"' && c == '\\' && left >= 3 && (*line)[i + 1] == 'x' &&
               HexDigit((*line)[i + 2]) >= 0 && HexDigit((*line)[i + 3]) >= 0) {
      *out += static_cast<char>(HexDigit((*line)[i + 2]) * 16 + HexDigit((*line)[i + 3]));
      i += 3;
    } else if (quote == '"' && c == '\\' && left > 0) {
      *out += Unescaped((*line)[++i]);
    } else if (quote == '\'' && c == '\\' && left > 0 && (*line)[i + 1] == '\'') {
      *out += (*line)[++i];
    } else {
      *out += c;
    }
  }
  line->remove_prefix(i);
  return quote == 0;
}

}  // namespace

ParserLimits LimitsBeforeLogin() {
  ParserLimits limits;
  limits.arguments_max = 10;
  limits.bulk_bytes_max = 16384;
  limits.request_bytes_max = 1 << 18;
  limits.logged_in = false;
  return limits;
}

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const size_t sign = text.starts_with('-') ? 1 : 0;
  const bool leading = text.size() > sign && text[sign] == '0' && text.size() + sign > 1;
  if (error != std::errc() || end != text.data() + text.size() || leading) return std::nullopt;
  return value;
}

void RequestParser::Reset() {
  at_ = line_at_ = left_ = 0;
  in_array_ = false;
  bulk_.reset();
  pieces_.clear();
}

RequestParser::Got RequestParser::Wrong(std::string error) {
  error_ = "Protocol error: " + std::move(error);
  return Got::kError;
}

RequestParser::Step RequestParser::Feed(std::string_view bytes) {
  size_t used = 0;
  for (;;) {
    const std::string_view rest = bytes.substr(used);
    Got got = ReadCommand(rest);
    if (got == Got::kMore && rest.size() > limits_.request_bytes_max) {
      got = Wrong("the command has more than " + std::to_string(limits_.request_bytes_max) +
                  " bytes (resp.request_bytes_max)");
    }
    if (got == Got::kMore) return {Event::kNeedMore, used};
    if (got == Got::kError) return {Event::kError, used};
    used += at_;
    args_.clear();
    const std::string_view from = in_array_ ? rest : std::string_view(unquoted_);
    for (const Piece& piece : pieces_) args_.push_back(from.substr(piece.at, piece.size));
    Reset();
    if (!args_.empty()) return {Event::kCommand, used};
  }
}

RequestParser::Got RequestParser::ReadCommand(std::string_view bytes) {
  if (bytes.empty()) return Got::kMore;
  if (bytes[0] != '*') return ReadInline(bytes);
  if (!in_array_) {
    std::optional<int64_t> count;
    const Got got = ReadNumber(bytes, "too big mbulk count string", &count);
    if (got != Got::kAll) return got;
    if (!count || *count > INT32_MAX) return Wrong("invalid multibulk length");
    if (*count > static_cast<int64_t>(limits_.arguments_max)) {
      if (!limits_.logged_in) return Wrong("unauthenticated multibulk length");
      return Wrong("invalid multibulk length (at most " + std::to_string(limits_.arguments_max) +
                   ", resp.arguments_max)");
    }
    in_array_ = true;
    left_ = *count > 0 ? static_cast<size_t>(*count) : 0;
  }
  return ReadArray(bytes);
}

RequestParser::Got RequestParser::ReadArray(std::string_view bytes) {
  for (; left_ > 0; --left_) {
    const Got got = ReadArgument(bytes);
    if (got != Got::kAll) return got;
  }
  return Got::kAll;
}

RequestParser::Got RequestParser::ReadArgument(std::string_view bytes) {
  if (!bulk_) {
    if (at_ >= bytes.size()) return Got::kMore;
    if (bytes[at_] != '$') {
      const char found = bytes[at_];
      const bool printable = found >= 0x20 && found < 0x7f;
      return Wrong(std::string("expected '$', got '") + (printable ? found : '?') + "'");
    }
    std::optional<int64_t> size;
    const Got got = ReadNumber(bytes, "too big bulk count string", &size);
    if (got != Got::kAll) return got;
    if (!size || *size < 0) return Wrong("invalid bulk length");
    if (*size > static_cast<int64_t>(limits_.bulk_bytes_max)) {
      if (!limits_.logged_in) return Wrong("unauthenticated bulk length");
      return Wrong("invalid bulk length (at most " + std::to_string(limits_.bulk_bytes_max) +
                   ", resp.request_bytes_max)");
    }
    bulk_ = static_cast<size_t>(*size);
  }
  const size_t end = at_ + *bulk_;
  if (bytes.size() < end + 2) return Got::kMore;
  if (bytes[end] != '\r' || bytes[end + 1] != '\n') {
    return Wrong("expected the line's end after an argument");
  }
  pieces_.push_back({at_, *bulk_});
  at_ = line_at_ = end + 2;
  bulk_.reset();
  return Got::kAll;
}

RequestParser::Got RequestParser::ReadNumber(std::string_view bytes, const char* too_long,
                                             std::optional<int64_t>* number) {
  const size_t end = bytes.find('\r', std::max(line_at_, at_ + 1));
  if (end == std::string_view::npos || end + 1 >= bytes.size()) {
    if (bytes.size() - at_ > kLineBytesMax) return Wrong(too_long);
    line_at_ = end == std::string_view::npos ? bytes.size() : end;
    return Got::kMore;
  }
  if (bytes[end + 1] != '\n') return Wrong("expected the line's end after a length");
  *number = ParseInt(bytes.substr(at_ + 1, end - at_ - 1));
  at_ = line_at_ = end + 2;
  return Got::kAll;
}

RequestParser::Got RequestParser::ReadInline(std::string_view bytes) {
  const size_t end = bytes.find('\n', line_at_);
  if (end == std::string_view::npos || end > kLineBytesMax) {
    line_at_ = bytes.size();
    const size_t most = limits_.logged_in ? kLineBytesMax : limits_.bulk_bytes_max;
    return bytes.size() > most ? Wrong("too big inline request") : Got::kMore;
  }
  at_ = end + 1;
  std::string_view line = bytes.substr(0, end);
  unquoted_.clear();
  for (;;) {
    while (!line.empty() && IsBlank(line.front())) line.remove_prefix(1);
    if (line.empty()) return Got::kAll;
    const size_t start = unquoted_.size();
    if (!TakeWord(&line, &unquoted_)) return Wrong("unbalanced quotes in request");
    pieces_.push_back({start, unquoted_.size() - start});
    if (pieces_.size() > limits_.arguments_max) return Wrong("too many arguments in request");
  }
}

}  // namespace lariat::frontend::resp
