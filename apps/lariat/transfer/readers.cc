// SPDX-License-Identifier: Apache-2.0
// The choice of a reader.
#include <fmt/format.h>

#include "apps/lariat/session.h"
#include "apps/lariat/transfer/csv_reader.h"
#include "apps/lariat/transfer/deb822_reader.h"
#include "apps/lariat/transfer/ndjson_reader.h"

namespace lariat::cli::transfer {

RecordReader::Next RecordReader::End(std::string* why) const {
  if (source_->error().empty()) return Next::kEnd;
  *why = "reading failed: " + source_->error();
  return Next::kBroken;
}

std::optional<Format> ParseFormat(std::string_view text) {
  if (text == "ndjson") return Format::kNdjson;
  if (text == "csv") return Format::kCsv;
  if (text == "deb822") return Format::kDeb822;
  return std::nullopt;
}

std::optional<Format> GuessFormat(std::string_view path) {
  for (std::string_view end : {".ndjson", ".jsonl", ".json"}) {
    if (path.ends_with(end)) return Format::kNdjson;
  }
  if (path.ends_with(".csv")) return Format::kCsv;
  for (std::string_view end : {"Packages", "Sources", ".deb822"}) {
    if (path.ends_with(end)) return Format::kDeb822;
  }
  return std::nullopt;
}

base::Result<std::unique_ptr<RecordReader>> OpenReader(const ReaderOptions& options) {
  auto format = options.format ? options.format : GuessFormat(options.path);
  if (!format) {
    return base::Fail(
        base::Code::kInvalidArgument,
        fmt::format("the name '{}' does not tell the format: say --format", options.path));
  }
  std::optional<KeyTemplate> key;
  if (!options.key_field.empty()) key = KeyTemplate::Field(options.key_field);
  std::string text = options.key_template;
  if (text.empty() && !key && *format == Format::kDeb822) text = kDeb822Key;
  if (!text.empty()) {
    auto parsed = KeyTemplate::Parse(text);
    if (!parsed) return base::Fail(parsed.error());
    key = std::move(*parsed);
  }
  auto source = LineSource::Open(options.path);
  if (!source) return base::Fail(source.error());
  std::unique_ptr<RecordReader> reader;
  switch (*format) {
    case Format::kNdjson:
      reader = std::make_unique<NdjsonReader>(std::move(*source), key, options.value_field);
      break;
    case Format::kCsv:
      reader = std::make_unique<CsvReader>(std::move(*source), key, options.value_field);
      break;
    case Format::kDeb822:
      reader = std::make_unique<Deb822Reader>(std::move(*source), *key);
      break;
  }
  if (auto started = reader->Start(); !started) {
    return base::Fail(started.error().code, options.path + ": " + started.error().message);
  }
  return reader;
}

std::string Refusal(const Record& record) {
  if (record.key.empty()) return "the key is empty";
  if (record.key.size() > kKeyBytesMax) {
    return fmt::format("the key has more than {} bytes", kKeyBytesMax);
  }
  if (record.value.size() > kValueBytesMax) {
    return fmt::format("the value has more than {} bytes", kValueBytesMax);
  }
  return "";
}

}  // namespace lariat::cli::transfer
