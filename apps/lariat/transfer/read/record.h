// SPDX-License-Identifier: Apache-2.0
// What import reads: records, one after the other, from a file of some format.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apps/lariat/transfer/read/key_template.h"
#include "apps/lariat/transfer/read/line_source.h"
#include "base/result.h"

namespace lariat::cli::transfer {

struct Record {
  uint64_t end = 0;   // offset behind the record: where reading goes on after it
  uint64_t line = 0;  // where it starts in the file, from 1
  std::string key;
  std::string value;
  std::string content_type;  // empty = none
  std::optional<int64_t> ttl_s;
  std::optional<int64_t> expires_ms;  // since 1970; wins over ttl_s
  uint32_t sibling = 0;               // its number among the values of its key, from 0
};

enum class Format : uint8_t { kNdjson, kCsv, kDeb822 };

struct ReaderOptions {
  std::string path;              // "-" is standard input
  std::optional<Format> format;  // guessed from the path if not given
  std::string key_field;         // empty: the format's own
  std::string key_template;      // for example "{Package}_{Version}"; wins over key_field
  std::string value_field;       // empty: the format's own
};

// Not thread-safe.
class RecordReader {
 public:
  enum class Next : uint8_t {
    kRecord,
    kBad,  // this record is no record (*why says it); reading goes on behind it
    kEnd,
    kBroken,  // the file cannot be read further
  };
  virtual ~RecordReader() = default;
  // Fills the record, for kBad its `end` and `line` only.
  virtual Next Read(Record* record, std::string* why) = 0;
};

// A reader over lines, which can go on where an earlier run stopped.
class FileReader : public RecordReader {
 public:
  explicit FileReader(std::unique_ptr<LineSource> source) : source_(std::move(source)) {}
  // What comes before the first record (a CSV header) is read; call once, before SkipTo.
  virtual base::Status Start() { return {}; }
  // Goes on at an offset that was some record's `end`.
  base::Status SkipTo(uint64_t offset) { return source_->SkipTo(offset); }
  const LineSource& source() const { return *source_; }

 protected:
  // kEnd or kBroken, after the source gave nothing more.
  Next End(std::string* why) const;
  std::unique_ptr<LineSource> source_;
};

std::optional<Format> ParseFormat(std::string_view text);
std::optional<Format> GuessFormat(std::string_view path);
// What `options` say of the format and of the key; the format's own key if there is no template.
struct ReaderPlan {
  Format format = Format::kNdjson;
  std::optional<KeyTemplate> key;
};
base::Result<ReaderPlan> PlanReader(const ReaderOptions& options);

base::Result<std::unique_ptr<FileReader>> OpenReader(const ReaderOptions& options);

// Key sizes and value sizes as the server takes them, and what has expired at `now_ms`; empty text
// if it can be stored.
std::string Refusal(const Record& record, int64_t now_ms);
int64_t NowMs();

}  // namespace lariat::cli::transfer
