// SPDX-License-Identifier: Apache-2.0
// Replies as RESP2 or RESP3 says them. What a writer is told is appended to one string. A value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "frontend/connection/outbox.h"

namespace lariat::frontend::resp {

enum class Protocol : uint8_t { kResp2 = 2, kResp3 = 3 };

class ReplyWriter {
 public:
  explicit ReplyWriter(Protocol protocol) : resp3_(protocol == Protocol::kResp3) {}

  ReplyWriter& Simple(std::string_view text);  // one line
  // `text` begins with its code, "ERR ..."; what would end the line is replaced.
  ReplyWriter& Error(std::string_view text);
  ReplyWriter& Int(int64_t value);
  ReplyWriter& Bulk(std::string_view bytes);
  ReplyWriter& Null();       // of a value
  ReplyWriter& NullArray();  // of a list
  ReplyWriter& Flag(bool value);
  ReplyWriter& Verbatim(std::string_view text);  // text for people
  // What follows are that many elements, or for a map twice as many.
  ReplyWriter& Array(size_t count) { return Head('*', count); }
  ReplyWriter& Set(size_t count) { return Head(resp3_ ? '~' : '*', count); }
  ReplyWriter& Map(size_t pairs) { return resp3_ ? Head('%', pairs) : Head('*', pairs * 2); }

  bool resp3() const { return resp3_; }
  bool IsError() const { return text_.starts_with('-'); }
  size_t size() const { return text_.size(); }
  connection::Reply Take() { return {std::move(text_), {}, false}; }
  void Clear() { text_.clear(); }

 private:
  ReplyWriter& Head(char type, size_t count);
  ReplyWriter& Append(char type, std::string_view text);

  std::string text_;
  bool resp3_;
};

// A value that is moved, not copied, if it is large.
connection::Reply BulkReply(std::string bytes);

}  // namespace lariat::frontend::resp
