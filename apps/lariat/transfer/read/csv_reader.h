// SPDX-License-Identifier: Apache-2.0
// Comma-separated values with a header row, strictly as RFC 4180 has them: quotes around a whole
// field only, doubled inside; line ends inside quotes belong to the value.
//
// Where the quoting of a row is wrong nobody can know where it was meant to end. So only its first
// line is given up, as one broken record, and reading goes on at the next line:
//
//   a,1
//   b,"2         <- opened; the next quote closes it, and text follows: broken, line 2
//   c,"3"        <- read anew, as a record of its own
//
// So a quote that is never closed costs its own line and no more. Of a row that was meant to span
// lines the others are judged as rows too: they are counted as failed, or, if they happen to look
// like whole rows, imported.
#pragma once

#include <vector>

#include "apps/lariat/transfer/read/record.h"

namespace lariat::cli::transfer {

// The fields of one row, taken line by line. Pure.
class CsvRow {
 public:
  enum class Took : uint8_t { kWhole, kOpen, kWrong };
  // A line with its line end. kOpen: a quote is open, and the row goes on. REQUIRES: the line
  // before gave kOpen, or there was none.
  Took Take(std::string_view line);
  std::vector<std::string>& fields() { return fields_; }
  const std::string& problem() const { return problem_; }  // after kWrong

 private:
  Took Wrong(const char* problem);

  enum class State : uint8_t { kStart, kPlain, kQuoted, kClosed };
  State state_ = State::kStart;
  std::string field_;
  std::vector<std::string> fields_;
  std::string problem_;
};

class CsvReader : public FileReader {
 public:
  // No template: the column "key", else the first. `value_field` empty: the column "value", else
  // the whole row as a JSON object.
  CsvReader(std::unique_ptr<LineSource> source, std::optional<KeyTemplate> key,
            std::string value_field)
      : FileReader(std::move(source)), key_(std::move(key)), value_(std::move(value_field)) {}
  base::Status Start() override;
  Next Read(Record* record, std::string* why) override;

 private:
  Next ReadRow(Record* record, CsvRow* row, std::string* why);
  Next GiveUp(Record* record, const std::string& problem, std::string* why);
  Next FillRecord(Record* record, std::vector<std::string>& fields, std::string* why);
  std::optional<size_t> Column(std::string_view name) const;
  base::Status CheckUnique() const;

  std::optional<KeyTemplate> key_;
  std::string value_;
  std::vector<std::string> header_;
  std::optional<size_t> value_column_;
};

// The row as the JSON object that is stored when no column is the value; nothing if a field is not
// UTF-8.
std::optional<std::string> CsvRowAsJson(const std::vector<std::string>& header,
                                        const std::vector<std::string>& fields);

}  // namespace lariat::cli::transfer
