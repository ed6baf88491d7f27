// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/deb822_reader.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <vector>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli::transfer {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool IsBlank(std::string_view line) {
  return line.find_first_not_of(kBlanks) == std::string_view::npos;
}

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// The name of the field that the line starts; empty if it starts none.
std::string_view FieldName(std::string_view line) {
  const std::string_view name = line.substr(0, line.find(':'));
  const bool good =
      name.size() < line.size() && !name.starts_with('-') &&
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7F; });
  return good ? name : std::string_view();
}

}  // namespace

// The fields of one paragraph, and what is wrong with the first line that is none.
class Deb822Reader::Paragraph {
 public:
  void Take(std::string_view line, uint64_t number) {
    const bool continues = line.starts_with(' ') || line.starts_with('\t');
    if (!problem_.empty() || line.starts_with('#')) return;
    if (continues && !names_.empty()) return;
    const std::string_view name = continues ? std::string_view() : FieldName(line);
    if (name.empty()) {
      problem_ = fmt::format("line {} is no field and continues none", number);
    } else if (std::any_of(names_.begin(), names_.end(),
                           [&](const std::string& known) { return SameName(known, name); })) {
      problem_ = fmt::format(
          "field '{}' is there twice, again at line {}; an empty line separates "
          "paragraphs, a line of blanks does not",
          Printable(name), number);
    } else {
      names_.emplace_back(name);
    }
  }
  const std::string& problem() const { return problem_; }
  bool is_comment() const { return names_.empty() && problem_.empty(); }

 private:
  std::vector<std::string> names_;
  std::string problem_;
};

std::optional<std::string> Deb822Field(std::string_view paragraph, std::string_view name) {
  while (!paragraph.empty()) {
    const std::string_view line = paragraph.substr(0, paragraph.find_first_of("\r\n"));
    paragraph.remove_prefix(std::min(line.size() + 1, paragraph.size()));
    if (!SameName(FieldName(line), name)) continue;
    const std::string_view value = line.substr(name.size() + 1);
    size_t first = value.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return "";
    return std::string(value.substr(first, value.find_last_not_of(kBlanks) - first + 1));
  }
  return std::nullopt;
}

// The lines up to the next empty one; false at the end.
bool Deb822Reader::ReadParagraph(Record* record, Paragraph* paragraph, bool* too_long) {
  *record = {};
  *too_long = false;
  bool started = false;
  std::string_view line;
  for (uint64_t number = source_->line(); source_->Next(&line); number = source_->line()) {
    if (!started && IsBlank(line) && !source_->cut()) continue;
    if (WithoutLineEnd(line).empty() && !source_->cut()) break;
    if (!started) record->line = number;
    started = true;
    record->end = source_->offset();
    *too_long = *too_long || source_->cut() || record->value.size() + line.size() > kRecordBytesMax;
    if (*too_long) record->value.clear();
    if (*too_long) continue;
    record->value += line;
    paragraph->Take(line, number);
  }
  return source_->error().empty() && started;
}

RecordReader::Next Deb822Reader::Read(Record* record, std::string* why) {
  Paragraph paragraph;
  bool too_long = false;
  do {
    paragraph = {};
    if (!ReadParagraph(record, &paragraph, &too_long)) return End(why);
  } while (paragraph.is_comment() && !too_long);
  auto key =
      key_.Expand([&](const std::string& field) { return Deb822Field(record->value, field); });
  if (too_long) {
    *why = "the paragraph is too long";
  } else if (!paragraph.problem().empty()) {
    *why = paragraph.problem();
  } else if (!key) {
    *why = key.error().message;
  } else {
    record->key = std::move(*key);
    return Next::kRecord;
  }
  return Next::kBad;
}

}  // namespace lariat::cli::transfer
