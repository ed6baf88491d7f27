// SPDX-License-Identifier: Apache-2.0
// The choice of a reader.
#include <fmt/format.h>

#include <chrono>

#include "apps/lariat/session.h"
#include "apps/lariat/transfer/read/csv_reader.h"
#include "apps/lariat/transfer/read/deb822_reader.h"
#include "apps/lariat/transfer/read/ndjson_reader.h"

namespace lariat::cli::transfer {

RecordReader::Next FileReader::End(std::string* why) const {
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

base::Result<ReaderPlan> PlanReader(const ReaderOptions& options) {
  auto format = options.format ? options.format : GuessFormat(options.path);
  if (!format) {
    return base::Fail(
        base::Code::kInvalidArgument,
        fmt::format("the name '{}' does not tell the format: say --format", options.path));
  }
  ReaderPlan plan{*format, std::nullopt};
  if (!options.key_field.empty()) plan.key = KeyTemplate::Field(options.key_field);
  std::string text = options.key_template;
  if (text.empty() && !plan.key && *format == Format::kDeb822) text = kDeb822Key;
  if (text.empty()) return plan;
  auto parsed = KeyTemplate::Parse(text);
  if (!parsed) return base::Fail(parsed.error());
  plan.key = std::move(*parsed);
  return plan;
}

base::Result<std::unique_ptr<FileReader>> OpenReader(const ReaderOptions& options) {
  auto plan = PlanReader(options);
  if (!plan) return base::Fail(plan.error());
  auto source = LineSource::Open(options.path);
  if (!source) return base::Fail(source.error());
  std::unique_ptr<FileReader> reader;
  switch (plan->format) {
    case Format::kNdjson:
      reader = std::make_unique<NdjsonReader>(std::move(*source), plan->key, options.value_field);
      break;
    case Format::kCsv:
      reader = std::make_unique<CsvReader>(std::move(*source), plan->key, options.value_field);
      break;
    case Format::kDeb822:
      reader = std::make_unique<Deb822Reader>(std::move(*source), *plan->key);
      break;
  }
  if (auto started = reader->Start(); !started) {
    return base::Fail(started.error().code, options.path + ": " + started.error().message);
  }
  return reader;
}

int64_t NowMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string Refusal(const Record& record, int64_t now_ms) {
  if (record.key.empty()) return "the key is empty";
  if (record.key.size() > kKeyBytesMax) {
    return fmt::format("the key has more than {} bytes", kKeyBytesMax);
  }
  if (record.value.size() > kValueBytesMax) {
    return fmt::format("the value has more than {} bytes", kValueBytesMax);
  }
  if (record.expires_ms && *record.expires_ms != 0 && *record.expires_ms <= now_ms) {
    return "it has expired";
  }
  return "";
}

}  // namespace lariat::cli::transfer
