// SPDX-License-Identifier: Apache-2.0
// Debian control files (Packages, Sources, status): paragraphs of "Field: value" lines, separated
// by blank lines. The value stored is the paragraph's exact bytes, each line with its line end,
// without the blank line behind it. Field names in a template are matched in any case; of a field
// that spans lines a template takes the first.
#pragma once

#include <string>

#include "apps/lariat/transfer/key_template.h"
#include "apps/lariat/transfer/record.h"

namespace lariat::cli::transfer {

inline constexpr std::string_view kDeb822Key = "{Package}_{Version}_{Architecture}";

// The value on the field's own line, without blanks around it. Pure.
std::optional<std::string> Deb822Field(std::string_view paragraph, std::string_view name);

class Deb822Reader : public RecordReader {
 public:
  Deb822Reader(std::unique_ptr<LineSource> source, KeyTemplate key)
      : RecordReader(std::move(source)), key_(std::move(key)) {}
  Next Read(Record* record, std::string* why) override;

 private:
  KeyTemplate key_;
};

}  // namespace lariat::cli::transfer
