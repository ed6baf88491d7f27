// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/ndjson_reader.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.h"

namespace lariat::cli::transfer {

namespace json = boost::json;

namespace {

base::Status Bad(std::string why) {
  return base::Fail(base::Code::kInvalidArgument, std::move(why));
}

const json::value* Member(const json::object& object, std::string_view name) {
  return object.if_contains({name.data(), name.size()});
}

std::string TextOrJson(const json::value& value) {
  return value.is_string() ? std::string(value.as_string()) : json::serialize(value);
}

// The member `name` as text, or `name`_base64 as bytes. False: neither is there.
base::Result<bool> Bytes(const json::object& object, const std::string& name, std::string* out) {
  if (const json::value* text = Member(object, name)) {
    *out = TextOrJson(*text);
    return true;
  }
  const json::value* coded = Member(object, name + "_base64");
  if (coded == nullptr) return false;
  auto bytes = coded->is_string() ? base::Base64Decode(coded->as_string()) : std::nullopt;
  if (!bytes) {
    return base::Fail(base::Code::kInvalidArgument, fmt::format("'{}_base64' is not base64", name));
  }
  *out = std::move(*bytes);
  return true;
}

}  // namespace

base::Status NdjsonReader::FindKey(const json::object& object, Record* record) const {
  if (!key_) {
    auto found = Bytes(object, "key", &record->key);
    if (!found) return base::Fail(found.error());
    return *found ? base::Status{} : Bad("no 'key'");
  }
  auto key = key_->Expand([&](const std::string& field) -> std::optional<std::string> {
    const json::value* value = Member(object, field);
    if (value == nullptr || value->is_null()) return std::nullopt;
    return TextOrJson(*value);
  });
  if (!key) return base::Fail(key.error());
  record->key = std::move(*key);
  return {};
}

base::Status NdjsonReader::FindValue(const json::object& object, std::string_view line,
                                     Record* record) const {
  auto found = Bytes(object, value_.empty() ? "value" : value_, &record->value);
  if (!found) return base::Fail(found.error());
  if (*found) return {};
  if (Member(object, "siblings") != nullptr) return Bad("siblings: there is no one value to write");
  if (!key_ || !value_.empty()) {
    return Bad(fmt::format("no '{}'", value_.empty() ? "value" : value_));
  }
  record->value = std::string(line);
  return {};
}

base::Status NdjsonReader::Parse(std::string_view line, Record* record) const {
  json::error_code problem;
  json::value parsed = json::parse({line.data(), line.size()}, problem);
  if (problem) return Bad("not JSON: " + problem.message());
  if (!parsed.is_object()) return Bad("not a JSON object");
  const json::object& object = parsed.as_object();
  if (auto status = FindKey(object, record); !status) return status;
  if (auto status = FindValue(object, line, record); !status) return status;
  if (const json::value* type = Member(object, "content_type")) {
    if (!type->is_string()) return Bad("'content_type' is not a string");
    record->content_type = std::string(type->as_string());
  }
  if (const json::value* ttl = Member(object, "ttl")) {
    json::error_code not_a_number;
    record->ttl_s = ttl->to_number<int64_t>(not_a_number);
    if (not_a_number || *record->ttl_s < 0) return Bad("'ttl' is not a number of seconds");
  }
  return {};
}

RecordReader::Next NdjsonReader::Read(Record* record, std::string* why) {
  std::string_view line;
  while (source_->Next(&line)) {
    *record = {};
    record->end = source_->offset();
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos && !source_->cut()) continue;
    base::Status parsed = source_->cut() ? Bad("the line is too long") : Parse(line, record);
    if (parsed) return Next::kRecord;
    *why = parsed.error().message;
    return Next::kBad;
  }
  return End(why);
}

}  // namespace lariat::cli::transfer
