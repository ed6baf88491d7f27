// SPDX-License-Identifier: Apache-2.0
// Turns received bytes into requests, one after the other. Strict (RFC 9112, and stricter where
// laxity lets two parsers disagree about where a request ends): bare LF, folded lines, white space
// before a colon, Content-Length beside Transfer-Encoding, more than one of either, a length that
// is not plain digits, any coding but `chunked` are errors, after which the stream has no framing.
// Limits count received bytes. Boost.Beast does the reading, in parser.cc only.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/request.h"

namespace lariat::frontend::http {

class RequestParser {
 public:
  enum class Event : uint8_t {
    kNeedMore,      // nothing more to say about these bytes
    kHead,          // head complete: now is the time for LimitBody or SkipBody
    kBodyTooLarge,  // once; the rest of the body is skipped
    kDone,          // request complete; call Next
    kError,         // framing is lost: error() says why; Feed must not be called again
  };
  struct Step {
    Event event;
    size_t used;
  };

  explicit RequestParser(size_t head_bytes_max);
  ~RequestParser();

  // `bytes` starts with what earlier calls did not use.
  Step Feed(std::string_view bytes);
  void LimitBody(uint64_t bytes_max) { body_bytes_max_ = bytes_max; }
  // Reads the body for its framing only, at most `bytes_max`; past it comes kError.
  void SkipBody(uint64_t bytes_max);
  void Next();

  bool in_head() const { return !in_body_ && scanned_ > 0; }  // some bytes of a head are there
  bool in_body() const { return in_body_; }                   // between kHead and Next
  Request& request() { return request_; }
  const Refusal& error() const { return error_; }

 private:
  class Beast;

  Step FeedHead(std::string_view bytes);
  Step FeedBody(std::string_view bytes);
  Step ParseHead(std::string_view head, size_t skipped);
  Step Fail(Refusal why);
  // Looks at the lines from where the last call stopped. Result: size of the head, 0 if it is not
  // complete, or nothing if a line is malformed.
  std::optional<size_t> ScanLines(std::string_view bytes);

  const size_t head_bytes_max_;
  Request request_;
  Refusal error_;
  std::unique_ptr<Beast> beast_;
  size_t scanned_ = 0;     // of the head's bytes
  size_t line_start_ = 0;  // of the line in which `scanned_` is
  bool in_body_ = false;
  bool skipping_ = false;
  uint64_t body_bytes_ = 0;
  uint64_t body_bytes_max_ = 0;
};

}  // namespace lariat::frontend::http
