// SPDX-License-Identifier: Apache-2.0
// One JSON object per line: {"key" | "key_base64", "value" | "value_base64", "ttl",
// "content_type"}. A value that is no string is stored as its JSON text. With a key field or
// template of its own and no value member, the value is the whole line without its line end.
#pragma once

#include <boost/json/object.hpp>

#include "apps/lariat/transfer/key_template.h"
#include "apps/lariat/transfer/record.h"

namespace lariat::cli::transfer {

class NdjsonReader : public RecordReader {
 public:
  // No template: the member "key" (or "key_base64"). `value_field` empty: "value".
  NdjsonReader(std::unique_ptr<LineSource> source, std::optional<KeyTemplate> key,
               std::string value_field)
      : RecordReader(std::move(source)), key_(std::move(key)), value_(std::move(value_field)) {}
  Next Read(Record* record, std::string* why) override;

 private:
  base::Status Parse(std::string_view line, Record* record) const;
  base::Status FindKey(const boost::json::object& object, Record* record) const;
  base::Status FindValue(const boost::json::object& object, std::string_view line,
                         Record* record) const;

  std::optional<KeyTemplate> key_;
  std::string value_;
};

}  // namespace lariat::cli::transfer
