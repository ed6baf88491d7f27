// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/csv_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace lariat::cli::transfer {

std::optional<std::vector<std::string>> ParseCsvRow(std::string_view row) {
  std::vector<std::string> fields;
  size_t i = 0;
  while (true) {
    std::string field;
    if (i < row.size() && row[i] == '"') {
      for (++i;; ++i) {
        if (i >= row.size()) return std::nullopt;  // not closed
        if (row[i] != '"') {
          field += row[i];
        } else if (i + 1 < row.size() && row[i + 1] == '"') {
          field += row[i++];
        } else {
          ++i;
          break;
        }
      }
      if (i < row.size() && row[i] != ',') return std::nullopt;
    } else {
      size_t end = std::min(row.find(',', i), row.size());
      field = std::string(row.substr(i, end - i));
      if (field.find('"') != std::string::npos) return std::nullopt;
      i = end;
    }
    fields.push_back(std::move(field));
    if (i >= row.size()) return fields;
    ++i;  // the comma
  }
}

// A row goes on over line ends while a quote is open, that is while the quotes so far are odd.
bool CsvReader::ReadRow(std::string* row, bool* too_long) {
  row->clear();
  *too_long = false;
  size_t quotes = 0;
  std::string_view line;
  while (source_->Next(&line)) {
    *too_long = *too_long || source_->cut() || row->size() + line.size() > kRecordBytesMax;
    if (*too_long) row->clear();
    if (!*too_long) *row += line;
    quotes += static_cast<size_t>(std::count(line.begin(), line.end(), '"'));
    if (quotes % 2 == 0 || *too_long) break;
  }
  bool any = !row->empty() || *too_long;
  if (row->ends_with('\n')) row->pop_back();
  if (row->ends_with('\r')) row->pop_back();
  return any;
}

std::optional<size_t> CsvReader::Column(std::string_view name) const {
  auto at = std::find(header_.begin(), header_.end(), name);
  if (at == header_.end()) return std::nullopt;
  return static_cast<size_t>(at - header_.begin());
}

base::Status CsvReader::Start() {
  std::string row;
  bool too_long = false;
  ReadRow(&row, &too_long);
  if (row.starts_with("\xEF\xBB\xBF")) row.erase(0, 3);  // byte order mark
  auto header = ParseCsvRow(row);
  if (row.empty() || !header) {
    return base::Fail(base::Code::kInvalidArgument, "the first row is no CSV header");
  }
  header_ = std::move(*header);
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
  return {};
}

RecordReader::Next CsvReader::Read(Record* record, std::string* why) {
  std::string row;
  bool too_long = false;
  do {
    if (!ReadRow(&row, &too_long)) return End(why);
  } while (row.empty() && !too_long);
  *record = {};
  record->end = source_->offset();
  auto fields = too_long ? std::nullopt : ParseCsvRow(row);
  if (!fields) {
    *why = too_long ? "the row is too long (a quote that is never closed?)" : "wrong quoting";
    return Next::kBad;
  }
  if (fields->size() != header_.size()) {
    *why = fmt::format("{} fields, the header has {}", fields->size(), header_.size());
    return Next::kBad;
  }
  record->key = *key_->Expand([&](const std::string& field) { return (*fields)[*Column(field)]; });
  if (value_column_) {
    record->value = std::move((*fields)[*value_column_]);
    return Next::kRecord;
  }
  boost::json::object object;
  for (size_t i = 0; i < header_.size(); ++i) object[header_[i]] = (*fields)[i];
  record->value = boost::json::serialize(object);
  record->content_type = "application/json";
  return Next::kRecord;
}

}  // namespace lariat::cli::transfer
