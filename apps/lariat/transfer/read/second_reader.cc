// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/second_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>

#include "apps/lariat/terminal/text.h"
#include "apps/lariat/transfer/read/second_json.h"
#include "base/base64.h"

namespace lariat::cli::transfer {

namespace {

using Next = RecordReader::Next;
using Fields = std::map<std::string, std::string>;

struct Line {
  std::string body;  // without its end
  std::string end;   // "\n", "\r\n", "\r", or empty at the end of the file
  uint64_t number = 0;
  uint64_t behind = 0;  // offset behind it
  bool too_long = false;
};

// Lines, taken byte by byte; any number of them can be looked at ahead.
class Lines {
 public:
  explicit Lines(std::unique_ptr<std::filebuf> file)
      : file_(std::move(file)), bytes_(file_ ? file_.get() : std::cin.rdbuf()) {
    while (mark_ < 3 && bytes_->sgetc() == (mark_ == 0 ? 0xEF : mark_ == 1 ? 0xBB : 0xBF)) {
      ++mark_;
      bytes_->sbumpc();
    }
    offset_ = mark_;
    if (mark_ == 3) mark_ = 0;
  }

  // The line that is `ahead` lines in front; null at the end.
  const Line* At(size_t ahead) {
    while (ahead >= seen_.size()) {
      Line line;
      if (!Read(&line)) return nullptr;
      seen_.push_back(std::move(line));
    }
    return &seen_[ahead];
  }
  void Drop(size_t count) { seen_.erase(seen_.begin(), seen_.begin() + ptrdiff_t(count)); }

 private:
  static constexpr int kEof = std::char_traits<char>::eof();

  bool Read(Line* line) {
    // The start of a mark that was none.
    line->body = std::string(kByteOrderMark.substr(0, std::exchange(mark_, 0)));
    const bool any = !line->body.empty() || bytes_->sgetc() != kEof;
    line->number = ++number_;
    for (int c = 0; line->end.empty() && (c = bytes_->sbumpc()) != kEof;) {
      ++offset_;
      if (c == '\n') line->end = "\n";
      if (c == '\r') line->end = "\r";
      if (line->end == "\r" && bytes_->sgetc() == '\n') {
        line->end += static_cast<char>(bytes_->sbumpc());
        ++offset_;
      }
      if (line->end.empty() && !line->too_long) line->body += static_cast<char>(c);
      line->too_long = line->too_long || line->body.size() + line->end.size() > kRecordBytesMax;
      if (line->too_long) line->body.clear();
    }
    line->behind = offset_;
    return any;
  }

  std::unique_ptr<std::filebuf> file_;  // none: standard input
  std::streambuf* bytes_;
  std::deque<Line> seen_;
  size_t mark_ = 0;
  uint64_t offset_ = 0;
  uint64_t number_ = 0;
};

class SecondReader : public RecordReader {
 public:
  SecondReader(std::unique_ptr<std::filebuf> file, ReaderPlan plan, std::string value)
      : lines_(std::move(file)), plan_(std::move(plan)), value_(std::move(value)) {}

  base::Status Start() {
    if (plan_.format != Format::kCsv) return {};
    Record ignored;
    std::string why;
    if (TakeRow(&ignored, &header_, &why) != Next::kRecord) {
      return base::Fail(base::Code::kInvalidArgument, "the first row is no CSV header");
    }
    return {};
  }
  Next Read(Record* record, std::string* why) override {
    switch (plan_.format) {
      case Format::kNdjson:
        return ReadObject(record, why);
      case Format::kCsv:
        return ReadRow(record, why);
      case Format::kDeb822:
        return ReadParagraph(record, why);
    }
    return Next::kEnd;
  }

 private:
  // A record of `count` lines starts at the next one. It is taken.
  void Take(Record* record, size_t count) {
    *record = {};
    record->line = lines_.At(0)->number;
    record->end = lines_.At(count - 1)->behind;
    lines_.Drop(count);
  }
  Next Bad(std::string* why, const std::string& text) {
    *why = text;
    return Next::kBad;
  }

  Next ReadObject(Record* record, std::string* why);
  Next TakeRow(Record* record, std::vector<std::string>* fields, std::string* why);
  Next ReadRow(Record* record, std::string* why);
  Next ReadParagraph(Record* record, std::string* why);

  Lines lines_;
  ReaderPlan plan_;
  std::string value_;
  std::vector<std::string> header_;
};

bool OnlyBlanks(const std::string& text) {
  return text.find_first_not_of(" \t") == std::string::npos;
}

// What may stand in a key: text and scalars, not null.
std::optional<std::string> KeyText(const SecondJson& json) {
  if (json.kind == '"') return json.text;
  if (json.kind == '0' || json.kind == 't' || json.kind == 'f') return json.source;
  if (json.kind != '{' || json.members.size() != 1) return std::nullopt;
  const auto coded = json.members.find("base64");
  if (coded == json.members.end() || coded->second.kind != '"') return std::nullopt;
  return base::Base64Decode(coded->second.text);
}

// The members that a line has, by name.
class SecondMembers {
 public:
  explicit SecondMembers(const SecondJson& json) : json_(json) {}
  const SecondJson* Find(const std::string& name) const {
    const auto found = json_.members.find(name);
    return found == json_.members.end() ? nullptr : &found->second;
  }
  bool Has(const std::string& name) const { return Find(name) != nullptr; }
  std::optional<std::string> Decoded(const std::string& name) const {
    const SecondJson* coded = Find(name);
    return coded != nullptr && coded->kind == '"' ? base::Base64Decode(coded->text) : std::nullopt;
  }
  std::optional<std::string> Key(const std::optional<KeyTemplate>& made) const {
    if (!made) return Has("key") ? KeyText(*Find("key")) : Decoded("key_base64");
    auto key = made->Expand([&](const std::string& name) -> std::optional<std::string> {
      return Has(name) && Find(name)->kind != '{' ? KeyText(*Find(name)) : std::nullopt;
    });
    return key ? std::optional(*key) : std::nullopt;
  }
  bool GoodSettings() const {
    if (Has("content_type") && Find("content_type")->kind != '"') return false;
    for (const char* name : {"ttl", "expires"}) {
      if (!Has(name)) continue;
      const std::string& digits = Find(name)->source;
      const bool large = digits.size() > 19 || (digits.size() == 19 && digits > kInt64Max);
      if (Find(name)->kind != '0' || large) return false;
      if (digits.find_first_not_of("0123456789") != std::string::npos) return false;
    }
    return true;
  }

 private:
  static constexpr const char* kInt64Max = "9223372036854775807";
  const SecondJson& json_;
};

Next SecondReader::ReadObject(Record* record, std::string* why) {
  const Line* line = nullptr;
  while ((line = lines_.At(0)) != nullptr && !line->too_long && OnlyBlanks(line->body)) {
    lines_.Drop(1);
  }
  if (line == nullptr) return Next::kEnd;
  const std::string text = line->body;
  const bool too_long = line->too_long;
  Take(record, 1);
  const auto json = too_long ? std::nullopt : ReadSecondJson(text);
  if (!json || json->kind != '{') return Bad(why, "no JSON object");
  const SecondMembers members(*json);
  auto key = members.Key(plan_.key);
  if (!key) return Bad(why, "no key");
  record->key = *key;
  const std::string name = value_.empty() ? "value" : value_;
  const SecondJson* value = members.Find(name);
  const auto decoded = members.Decoded(name + "_base64");
  if (value == nullptr && !members.Has(name + "_base64")) {
    const bool whole = plan_.key && value_.empty() && !members.Has("siblings");
    record->value = text;
    return whole ? Next::kRecord : Bad(why, "no value");
  }
  const bool one = value == nullptr ? decoded.has_value() : !members.Has(name + "_base64");
  if (!one || (value != nullptr && value->kind == '2')) return Bad(why, "no one value");
  if (!members.GoodSettings()) return Bad(why, "a content type or time to live that is none");
  record->value = value == nullptr ? *decoded : value->kind == '"' ? value->text : value->source;
  return Next::kRecord;
}

// The fields of a row whose quotes are even in number; nothing if one stands where none may.
std::optional<std::vector<std::string>> SplitRow(std::string_view row) {
  std::vector<std::string> fields;
  for (size_t at = 0;;) {
    std::string field;
    if (row.substr(at).starts_with('"')) {
      size_t quote = row.find('"', at + 1);
      while (quote + 1 < row.size() && row[quote + 1] == '"') {
        field += row.substr(at + 1, quote - at);
        at = quote + 1;
        quote = row.find('"', at + 1);
      }
      if (quote == std::string_view::npos) return std::nullopt;
      field += row.substr(at + 1, quote - at - 1);
      at = quote + 1;
    } else {
      field = row.substr(at, row.find(',', at) - at);
      if (field.find('"') != std::string::npos) return std::nullopt;
      at += field.size();
    }
    fields.push_back(std::move(field));
    if (at == row.size()) return fields;
    if (row[at++] != ',') return std::nullopt;
  }
}

// A row ends at the first line end behind an even number of quotes.
Next SecondReader::TakeRow(Record* record, std::vector<std::string>* fields, std::string* why) {
  const Line* line = nullptr;
  while ((line = lines_.At(0)) != nullptr && !line->too_long && line->body.empty()) lines_.Drop(1);
  if (line == nullptr) return Next::kEnd;
  std::string row;
  ptrdiff_t quotes = 0;
  for (size_t count = 1; (line = lines_.At(count - 1)) != nullptr; ++count) {
    if (line->too_long || row.size() + line->body.size() + line->end.size() > kRecordBytesMax)
      break;
    quotes += std::count(line->body.begin(), line->body.end(), '"');
    if (quotes % 2 != 0) {
      row += line->body + line->end;
      continue;
    }
    auto split = SplitRow(row + line->body);
    if (!split) break;
    *fields = std::move(*split);
    Take(record, count);
    return Next::kRecord;
  }
  Take(record, 1);
  return Bad(why, "wrong quoting");
}

// As JSON is written without blanks and with as few escapes as can be.
std::string Quoted(const std::string& text) {
  static const std::map<char, std::string> kShort = {{'"', "\\\""}, {'\\', "\\\\"}, {'\b', "\\b"},
                                                     {'\f', "\\f"}, {'\n', "\\n"},  {'\r', "\\r"},
                                                     {'\t', "\\t"}};
  std::string out = "\"";
  for (char c : text) {
    const auto known = kShort.find(c);
    const bool control = static_cast<unsigned char>(c) < 0x20;
    out += known != kShort.end() ? known->second
           : control             ? fmt::format("\\u{:04x}", c)
                                 : std::string(1, c);
  }
  return out + '"';
}

Next SecondReader::ReadRow(Record* record, std::string* why) {
  std::vector<std::string> fields;
  const Next next = TakeRow(record, &fields, why);
  if (next != Next::kRecord) return next;
  if (fields.size() != header_.size()) return Bad(why, "another number of fields than the header");
  auto column = [&](const std::string& name) -> std::optional<std::string> {
    for (size_t i = 0; i < header_.size(); ++i) {
      if (header_[i] == name) return fields[i];
    }
    return std::nullopt;
  };
  auto key = plan_.key ? plan_.key->Expand(column) : column("key").value_or(fields[0]);
  if (!key) return Bad(why, key.error().message);
  record->key = *key;
  if (auto value = column(value_.empty() ? "value" : value_)) {
    record->value = *value;
    return Next::kRecord;
  }
  std::string object;
  for (size_t i = 0; i < header_.size(); ++i) {
    if (!IsUtf8(header_[i] + fields[i])) return Bad(why, "not UTF-8");
    object += (i == 0 ? "{" : ",") + Quoted(header_[i]) + ":" + Quoted(fields[i]);
  }
  record->value = object + "}";
  return Next::kRecord;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return tolower(c); });
  return text;
}

// The fields of one line; false if it is none and continues none.
bool AddField(const std::string& line, Fields* fields) {
  if (line[0] == '#') return true;
  if (line[0] == ' ' || line[0] == '\t') return !fields->empty();
  const size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0 || line[0] == '-') return false;
  for (size_t i = 0; i < colon; ++i) {
    if (line[i] <= ' ' || line[i] >= 0x7F) return false;
  }
  const size_t first = line.find_first_not_of(" \t", colon + 1);
  const size_t last = line.find_last_not_of(" \t");
  std::string value = first == std::string::npos ? "" : line.substr(first, last - first + 1);
  return fields->emplace(Lower(line.substr(0, colon)), std::move(value)).second;
}

Next SecondReader::ReadParagraph(Record* record, std::string* why) {
  while (true) {
    const Line* line = nullptr;
    while ((line = lines_.At(0)) != nullptr && !line->too_long && OnlyBlanks(line->body)) {
      lines_.Drop(1);
    }
    if (line == nullptr) return Next::kEnd;
    Record taken;
    Fields fields;
    bool good = true;
    std::string bytes;
    *record = {};
    record->line = line->number;
    while ((line = lines_.At(0)) != nullptr && (line->too_long || !line->body.empty())) {
      good = good && !line->too_long && AddField(line->body, &fields);
      good = good && bytes.size() + line->body.size() + line->end.size() <= kRecordBytesMax;
      if (good) bytes += line->body + line->end;
      record->end = line->behind;
      lines_.Drop(1);
    }
    if (good && fields.empty()) continue;  // comments
    auto key = plan_.key->Expand([&](const std::string& name) -> std::optional<std::string> {
      const auto found = fields.find(Lower(name));
      return found == fields.end() ? std::nullopt : std::optional(found->second);
    });
    if (!good) return Bad(why, "a line that is no field, or a field twice");
    if (!key) return Bad(why, key.error().message);
    record->key = *key;
    record->value = std::move(bytes);
    return Next::kRecord;
  }
}

}  // namespace

base::Result<std::unique_ptr<RecordReader>> OpenSecondReader(const ReaderOptions& options) {
  auto plan = PlanReader(options);
  if (!plan) return base::Fail(plan.error());
  std::unique_ptr<std::filebuf> file;
  if (options.path != "-") {
    file = std::make_unique<std::filebuf>();
    if (file->open(options.path, std::ios::in | std::ios::binary) == nullptr) {
      return base::Fail(base::Code::kIo,
                        fmt::format("cannot read {}: {}", options.path, strerror(errno)));
    }
  }
  auto reader = std::make_unique<SecondReader>(std::move(file), *plan, options.value_field);
  if (auto started = reader->Start(); !started) {
    return base::Fail(started.error().code, options.path + ": " + started.error().message);
  }
  return reader;
}

}  // namespace lariat::cli::transfer
