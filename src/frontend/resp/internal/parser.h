// SPDX-License-Identifier: Apache-2.0
// Commands from bytes: arrays of bulk strings, and inline commands as people type them. Nothing is
// copied, and what was read of a command that is half there is not read again. A value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::frontend::resp {

using Args = std::span<const std::string_view>;

// Declared lengths are held against these before anything is made for them.
struct ParserLimits {
  size_t arguments_max = 65536;
  size_t bulk_bytes_max = 16 << 20;     // one argument
  size_t request_bytes_max = 16 << 20;  // a whole command, as it arrives
  bool logged_in = true;                // false: errors say that more is allowed after a login
};

// What somebody who has not logged in may make this node hold (as Redis).
ParserLimits LimitsBeforeLogin();

class RequestParser {
 public:
  enum class Event : uint8_t { kNeedMore, kCommand, kError };
  struct Step {
    Event event;
    size_t used;  // bytes that are done with; of a command it is all of it
  };

  explicit RequestParser(ParserLimits limits) : limits_(limits) {}
  void SetLimits(const ParserLimits& limits) { limits_ = limits; }

  // `bytes` begin behind what the last steps used. After kNeedMore they are the same ones again,
  // and more; after kCommand the command may be read again. After kError nothing more is read.
  Step Feed(std::string_view bytes);
  // Of the last kCommand, one or more; valid as long as the bytes, and until the next Feed.
  Args args() const { return args_; }
  // Of the last kError: without "-ERR " and the line's end.
  const std::string& error() const { return error_; }

 private:
  struct Piece {
    size_t at, size;
  };
  enum class Got : uint8_t { kAll, kMore, kError };

  Got ReadCommand(std::string_view bytes);
  Got ReadArray(std::string_view bytes);
  Got ReadArgument(std::string_view bytes);
  Got ReadInline(std::string_view bytes);
  // A number between its type's character and the end of the line.
  Got ReadNumber(std::string_view bytes, const char* too_long, std::optional<int64_t>* number);
  Got Wrong(std::string error);
  void Reset();

  ParserLimits limits_;
  // Of the command that is being read; positions count from its first byte.
  size_t at_ = 0;       // everything before it is read
  size_t line_at_ = 0;  // no line end was found before it
  size_t left_ = 0;     // arguments to come
  bool in_array_ = false;
  std::optional<size_t> bulk_;  // the size of the argument at `at_`
  std::vector<Piece> pieces_;
  std::string unquoted_;  // arguments of an inline command
  std::vector<std::string_view> args_;
  std::string error_;
};

// A decimal of 64 bits as Redis takes it: no sign but "-", no leading zero, nothing around it.
std::optional<int64_t> ParseInt(std::string_view text);

}  // namespace lariat::frontend::resp
