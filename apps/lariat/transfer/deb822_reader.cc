// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/deb822_reader.h"

#include <strings.h>

namespace lariat::cli::transfer {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(kBlanks) == std::string_view::npos;
}

}  // namespace

std::optional<std::string> Deb822Field(std::string_view paragraph, std::string_view name) {
  while (!paragraph.empty()) {
    size_t end = std::min(paragraph.find('\n'), paragraph.size());
    std::string_view line = paragraph.substr(0, end);
    paragraph.remove_prefix(std::min(end + 1, paragraph.size()));
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (strncasecmp(line.data(), name.data(), name.size()) != 0) continue;
    line.remove_prefix(name.size() + 1);
    size_t first = line.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return "";
    return std::string(line.substr(first, line.find_last_not_of(kBlanks) - first + 1));
  }
  return std::nullopt;
}

RecordReader::Next Deb822Reader::Read(Record* record, std::string* why) {
  *record = {};
  bool too_long = false;
  std::string_view line;
  while (source_->Next(&line)) {
    record->end = source_->offset();
    if (IsBlank(line) && !source_->cut()) {
      if (record->value.empty() && !too_long) continue;
      break;
    }
    too_long = too_long || source_->cut() || record->value.size() + line.size() > kRecordBytesMax;
    if (too_long) record->value.clear();
    if (!too_long) record->value += line;
  }
  if (!source_->error().empty() || (record->value.empty() && !too_long)) return End(why);
  if (too_long) {
    *why = "the paragraph is too long";
    return Next::kBad;
  }
  auto key =
      key_.Expand([&](const std::string& field) { return Deb822Field(record->value, field); });
  if (!key) {
    *why = key.error().message;
    return Next::kBad;
  }
  record->key = std::move(*key);
  return Next::kRecord;
}

}  // namespace lariat::cli::transfer
