// SPDX-License-Identifier: Apache-2.0
// Appends JSON to a string: no tree, no allocation beyond the string itself. The caller keeps the
// order of keys and values right; commas are put in here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/kv_service.h"

namespace lariat::frontend::http {

bool IsUtf8(std::string_view bytes);
// Everything but letters, digits and "-._~" as %XX.
std::string PercentEncode(std::string_view bytes);

class JsonWriter {
 public:
  explicit JsonWriter(std::string* out) : out_(out) {}
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view key);
  // Bytes that are not UTF-8 become U+FFFD.
  JsonWriter& Text(std::string_view text);
  JsonWriter& Base64(std::string_view bytes);
  JsonWriter& Int(int64_t value);
  JsonWriter& Uint(uint64_t value);
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  // {"node1":5,"node2":3}
  JsonWriter& VersionObject(const coordinator::Version& version);

 private:
  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  void Separate();
  void Escape(std::string_view text);
  template <typename T>
  JsonWriter& Number(T value);

  std::string* out_;
  bool comma_ = false;
};

// The members "key" and, only if the key is not UTF-8, "key_encoding": "percent".
void WriteKey(JsonWriter& json, std::string_view key);

}  // namespace lariat::frontend::http
