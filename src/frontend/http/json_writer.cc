// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/json_writer.h"

#include <charconv>
#include <cmath>

#include "base/base64.h"

namespace lariat::frontend::http {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

// Length of the UTF-8 sequence at the start of `text`; 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](size_t i) { return i < text.size() && (at(i) & 0xC0) == 0x80; };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!follows(1) || !follows(2)) return 0;
    if (first == 0xE0 && at(1) < 0xA0) return 0;  // over-long
    if (first == 0xED && at(1) > 0x9F) return 0;  // surrogates
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    if (first == 0xF0 && at(1) < 0x90) return 0;  // over-long
    if (first == 0xF4 && at(1) > 0x8F) return 0;  // past U+10FFFF
    return 4;
  }
  return 0;
}

bool IsPlain(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x80 &&
         c != '"' && c != '\\' && c != 0x7F;
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = SequenceLength(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string PercentEncode(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

void JsonWriter::Separate() {
  if (comma_) *out_ += ',';
  comma_ = true;
}

JsonWriter& JsonWriter::Open(char bracket) {
  Separate();
  *out_ += bracket;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Close(char bracket) {
  *out_ += bracket;
  comma_ = true;
  return *this;
}

void JsonWriter::Escape(std::string_view text) {
  *out_ += '"';
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && IsPlain(text[plain])) ++plain;
    out_->append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const char c = text[0];
    const size_t length = SequenceLength(text);
    if (length > 1) {
      out_->append(text.substr(0, length));
    } else if (length == 0) {
      *out_ += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      *out_ += '\\';
      *out_ += c;
    } else {
      *out_ += "\\u00";
      *out_ += kHex[static_cast<unsigned char>(c) >> 4];
      *out_ += kHex[static_cast<unsigned char>(c) & 15];
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  *out_ += '"';
}

JsonWriter& JsonWriter::Key(std::string_view key) {
  Separate();
  Escape(key);
  *out_ += ':';
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::Text(std::string_view text) {
  Separate();
  Escape(text);
  return *this;
}

JsonWriter& JsonWriter::Base64(std::string_view bytes) {
  Separate();
  *out_ += '"';
  *out_ += base::Base64Encode(bytes);
  *out_ += '"';
  return *this;
}

template <typename T>
JsonWriter& JsonWriter::Number(T value) {
  Separate();
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out_->append(buffer, result.ptr);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) { return Number(value); }
JsonWriter& JsonWriter::Uint(uint64_t value) { return Number(value); }
JsonWriter& JsonWriter::Double(double value) {
  return std::isfinite(value) ? Number(value) : Null();
}

JsonWriter& JsonWriter::Bool(bool value) {
  Separate();
  *out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  Separate();
  *out_ += "null";
  return *this;
}

JsonWriter& JsonWriter::VersionObject(const coordinator::Version& version) {
  if (coordinator::IsSerialVersion(version)) return Uint(version.begin()->second);
  BeginObject();
  for (const auto& [node, events] : version) Key(node).Uint(events);
  return EndObject();
}

void WriteKey(JsonWriter& json, std::string_view key) {
  if (IsUtf8(key)) {
    json.Key("key").Text(key);
  } else {
    json.Key("key").Text(PercentEncode(key)).Key("key_encoding").Text("percent");
  }
}

}  // namespace lariat::frontend::http
