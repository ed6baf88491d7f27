// SPDX-License-Identifier: Apache-2.0
// One JSON object per line: {"key" | "key_base64", "value" | "value_base64", "content_type", "ttl"
// (seconds), "expires" (milliseconds since 1970, as an export has it; wins over "ttl")}. A string
// is stored as its text, any other value as the bytes that stand in the line; so is a number that
// is a key. With a key field or template of its own and no value member, the value is the whole
// line without its line end. A line with "siblings", a list of such objects without keys, is as
// many records, so that an export can be taken back.
#pragma once

#include <deque>

#include "apps/lariat/transfer/read/json_line.h"
#include "apps/lariat/transfer/read/key_template.h"
#include "apps/lariat/transfer/read/record.h"

namespace lariat::cli::transfer {

class NdjsonReader : public FileReader {
 public:
  // No template: the member "key" (or "key_base64"). `value_field` empty: "value".
  NdjsonReader(std::unique_ptr<LineSource> source, std::optional<KeyTemplate> key,
               std::string value_field)
      : FileReader(std::move(source)), key_(std::move(key)), value_(std::move(value_field)) {}
  Next Read(Record* record, std::string* why) override;

 private:
  using Members = std::vector<JsonMember>;
  base::Status Parse(std::string_view line, Record* record);
  base::Status QueueSiblings(const JsonMember& siblings, const Record& record);
  base::Status FindKey(const Members& members, Record* record) const;
  base::Status FindValue(const Members& members, std::string_view line, Record* record) const;

  std::optional<KeyTemplate> key_;
  std::string value_;
  std::deque<Record> siblings_;  // of the line read last, still to be given
};

// The member "key": a string, number, true, false or {"base64": "..."}; or "key_base64".
base::Result<std::string> JsonKey(const std::vector<JsonMember>& members);

}  // namespace lariat::cli::transfer
