// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/csv_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <tuple>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli::transfer {

CsvRow::Took CsvRow::Wrong(const char* problem) {
  problem_ = problem;
  return Took::kWrong;
}

CsvRow::Took CsvRow::Take(std::string_view line) {
  const std::string_view body = WithoutLineEnd(line);
  for (size_t i = 0; i < body.size();) {
    const char c = body[i];
    if (state_ == State::kQuoted) {
      const size_t quote = std::min(body.find('"', i), body.size());
      field_.append(body.substr(i, quote - i));
      i = quote + 1;
      if (quote < body.size()) state_ = State::kClosed;
    } else if (state_ == State::kClosed && c == '"') {
      field_ += c;
      state_ = State::kQuoted;
      ++i;
    } else if (c == ',') {
      fields_.push_back(std::exchange(field_, ""));
      state_ = State::kStart;
      ++i;
    } else if (state_ == State::kClosed) {
      return Wrong("something other than a comma behind a closing quote");
    } else if (c == '"' && state_ == State::kPlain) {
      return Wrong("a quote inside a field that does not start with one");
    } else if (c == '"') {
      state_ = State::kQuoted;
      ++i;
    } else {
      const size_t end = std::min(body.find_first_of(",\"", i), body.size());
      field_.append(body.substr(i, end - i));
      state_ = State::kPlain;
      i = end;
    }
  }
  if (state_ == State::kQuoted) {
    field_.append(line.substr(body.size()));
    return Took::kOpen;
  }
  fields_.push_back(std::exchange(field_, ""));
  return Took::kWhole;
}

// Only the first line is given up: reading goes on behind it, at record->end.
RecordReader::Next CsvReader::GiveUp(Record* record, const std::string& problem, std::string* why) {
  const uint64_t next = record->line + 1;
  const bool further = source_->line() > next;
  *why = problem;
  if (further) *why += fmt::format("; reading goes on at line {}", next);
  source_->GoBack(record->end, next);
  return Next::kBad;
}

RecordReader::Next CsvReader::ReadRow(Record* record, CsvRow* row, std::string* why) {
  *record = {};
  std::string_view line;
  do {
    source_->Hold();
    record->line = source_->line();
    if (!source_->Next(&line)) return End(why);
  } while (WithoutLineEnd(line).empty() && !source_->cut());
  record->end = source_->offset();
  if (source_->cut()) {
    *why = "the line is too long";
    return Next::kBad;
  }
  CsvRow::Took took = row->Take(line);
  while (took == CsvRow::Took::kOpen) {
    const bool more = source_->Next(&line);
    if (!more && !source_->error().empty()) return End(why);
    if (!more || source_->cut() || source_->held_bytes() > kRecordBytesMax) {
      return GiveUp(record, "a quote is opened and not closed", why);
    }
    took = row->Take(line);
  }
  if (took == CsvRow::Took::kWrong) return GiveUp(record, row->problem(), why);
  record->end = source_->offset();
  return Next::kRecord;
}

std::optional<size_t> CsvReader::Column(std::string_view name) const {
  auto at = std::find(header_.begin(), header_.end(), name);
  if (at == header_.end()) return std::nullopt;
  return static_cast<size_t>(at - header_.begin());
}

// A name that stands for two columns would lose one of them.
base::Status CsvReader::CheckUnique() const {
  auto twice = [&](const std::string& name) {
    return std::count(header_.begin(), header_.end(), name) > 1;
  };
  std::optional<std::string> bad;
  auto note = [&](const std::string& name) -> std::optional<std::string> {
    if (twice(name)) bad = name;
    return "";
  };
  std::ignore = key_->Expand(note);
  if (value_column_) note(header_[*value_column_]);
  if (!value_column_) std::for_each(header_.begin(), header_.end(), note);
  if (!bad) return {};
  return base::Fail(base::Code::kInvalidArgument, fmt::format("two columns are called '{}'", *bad));
}

base::Status CsvReader::Start() {
  Record record;
  CsvRow row;
  std::string why;
  switch (ReadRow(&record, &row, &why)) {
    case Next::kRecord:
      break;
    case Next::kEnd:
      return base::Fail(base::Code::kInvalidArgument, "no CSV header: the file is empty");
    default:
      return base::Fail(base::Code::kInvalidArgument, "the first row is no CSV header: " + why);
  }
  header_ = std::move(row.fields());
  if (!key_) key_ = KeyTemplate::Field(Column("key") ? "key" : header_.front());
  auto known = key_->Expand([&](const std::string& field) -> std::optional<std::string> {
    if (!Column(field)) return std::nullopt;
    return "";
  });
  if (!known) return base::Fail(base::Code::kInvalidArgument, known.error().message + " in header");
  value_column_ = Column(value_.empty() ? "value" : value_);
  if (!value_.empty() && !value_column_) {
    return base::Fail(base::Code::kInvalidArgument, fmt::format("no column '{}'", value_));
  }
  return CheckUnique();
}

std::optional<std::string> CsvRowAsJson(const std::vector<std::string>& header,
                                        const std::vector<std::string>& fields) {
  boost::json::object object;
  for (size_t i = 0; i < header.size(); ++i) {
    if (!IsUtf8(header[i]) || !IsUtf8(fields[i])) return std::nullopt;
    object[header[i]] = fields[i];
  }
  return boost::json::serialize(object);
}

RecordReader::Next CsvReader::FillRecord(Record* record, std::vector<std::string>& fields,
                                         std::string* why) {
  if (fields.size() != header_.size()) {
    *why = fmt::format("{} fields, the header has {}", fields.size(), header_.size());
    return Next::kBad;
  }
  record->key = *key_->Expand([&](const std::string& field) { return fields[*Column(field)]; });
  if (value_column_) {
    record->value = std::move(fields[*value_column_]);
    return Next::kRecord;
  }
  auto object = CsvRowAsJson(header_, fields);
  if (!object) {
    *why = "not UTF-8, so the row cannot be a JSON object; --value-field names one column";
    return Next::kBad;
  }
  record->value = std::move(*object);
  record->content_type = "application/json";
  return Next::kRecord;
}

RecordReader::Next CsvReader::Read(Record* record, std::string* why) {
  CsvRow row;
  const Next next = ReadRow(record, &row, why);
  return next == Next::kRecord ? FillRecord(record, row.fields(), why) : next;
}

}  // namespace lariat::cli::transfer
