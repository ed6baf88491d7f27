// SPDX-License-Identifier: Apache-2.0
// Comma-separated values with a header row (RFC 4180: quotes, doubled quotes, line ends in quotes).
#pragma once

#include <vector>

#include "apps/lariat/transfer/key_template.h"
#include "apps/lariat/transfer/record.h"

namespace lariat::cli::transfer {

// The fields of one row without its line end; nothing if the quoting is wrong. Pure.
std::optional<std::vector<std::string>> ParseCsvRow(std::string_view row);

class CsvReader : public RecordReader {
 public:
  // No template: the column "key", else the first. `value_field` empty: the column "value", else
  // the whole row as a JSON object.
  CsvReader(std::unique_ptr<LineSource> source, std::optional<KeyTemplate> key,
            std::string value_field)
      : RecordReader(std::move(source)), key_(std::move(key)), value_(std::move(value_field)) {}
  base::Status Start() override;
  Next Read(Record* record, std::string* why) override;

 private:
  bool ReadRow(std::string* row, bool* too_long);
  std::optional<size_t> Column(std::string_view name) const;

  std::optional<KeyTemplate> key_;
  std::string value_;
  std::vector<std::string> header_;
  std::optional<size_t> value_column_;
};

}  // namespace lariat::cli::transfer
