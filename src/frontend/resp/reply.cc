// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/reply.h"

#include <charconv>

namespace lariat::frontend::resp {
namespace {

constexpr size_t kCopiedBytesMax = 4096;

template <typename Number>
void AppendLine(std::string* text, char type, Number number) {
  char line[32];
  line[0] = type;
  char* end = std::to_chars(line + 1, line + sizeof(line) - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  text->append(line, static_cast<size_t>(end - line));
}

}  // namespace

ReplyWriter& ReplyWriter::Head(char type, size_t count) {
  AppendLine(&text_, type, count);
  return *this;
}

ReplyWriter& ReplyWriter::Append(char type, std::string_view text) {
  text_ += type;
  text_ += text;
  text_ += "\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::Simple(std::string_view text) { return Append('+', text); }

ReplyWriter& ReplyWriter::Error(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  return Append('-', line);
}

ReplyWriter& ReplyWriter::Int(int64_t value) {
  AppendLine(&text_, ':', value);
  return *this;
}

ReplyWriter& ReplyWriter::Bulk(std::string_view bytes) {
  AppendLine(&text_, '$', bytes.size());
  text_ += bytes;
  text_ += "\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::Null() {
  text_ += resp3_ ? "_\r\n" : "$-1\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::NullArray() {
  text_ += resp3_ ? "_\r\n" : "*-1\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::Flag(bool value) {
  if (!resp3_) return Int(value ? 1 : 0);
  text_ += value ? "#t\r\n" : "#f\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::Verbatim(std::string_view text) {
  if (!resp3_) return Bulk(text);
  AppendLine(&text_, '=', text.size() + 4);
  text_ += "txt:";
  text_ += text;
  text_ += "\r\n";
  return *this;
}

connection::Reply BulkReply(std::string bytes) {
  connection::Reply reply;
  AppendLine(&reply.head, '$', bytes.size());
  std::string& tail = bytes.size() > kCopiedBytesMax ? reply.body : reply.head;
  if (bytes.size() > kCopiedBytesMax) {
    tail = std::move(bytes);
  } else {
    tail += bytes;
  }
  tail += "\r\n";
  return reply;
}

}  // namespace lariat::frontend::resp
