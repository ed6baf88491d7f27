// SPDX-License-Identifier: Apache-2.0
// Debian control files (Packages, Sources, status): paragraphs of "Field: value" lines, separated
// by empty lines. The value stored is the paragraph's exact bytes, each line with its line end,
// without the empty line behind it. A line of blanks inside a paragraph is part of it, as apt reads
// it; before one it is passed over. A paragraph is bad as a whole if one of its lines is no field,
// comment ('#') or continuation (starts with a blank), or if a field is there twice, which is what
// two paragraphs look like that only a line of blanks separates. Comments alone are none. Field
// names in a template are matched in any case; of a field that spans lines a template takes the
// first.
#pragma once

#include <string>

#include "apps/lariat/transfer/read/record.h"

namespace lariat::cli::transfer {

inline constexpr std::string_view kDeb822Key = "{Package}_{Version}_{Architecture}";

// The value on the field's own line, without blanks around it. Pure.
std::optional<std::string> Deb822Field(std::string_view paragraph, std::string_view name);

class Deb822Reader : public FileReader {
 public:
  Deb822Reader(std::unique_ptr<LineSource> source, KeyTemplate key)
      : FileReader(std::move(source)), key_(std::move(key)) {}
  Next Read(Record* record, std::string* why) override;

 private:
  class Paragraph;
  bool ReadParagraph(Record* record, Paragraph* paragraph, bool* too_long);

  KeyTemplate key_;
};

}  // namespace lariat::cli::transfer
