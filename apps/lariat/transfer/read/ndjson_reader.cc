// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/ndjson_reader.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "base/base64.h"

namespace lariat::cli::transfer {

namespace {

using Members = std::vector<JsonMember>;

auto Bad(std::string why) { return base::Fail(base::Code::kInvalidArgument, std::move(why)); }

base::Result<std::string> Decoded(const JsonMember& member) {
  auto bytes = member.is_string() ? base::Base64Decode(member.text) : std::nullopt;
  if (!bytes) return Bad(fmt::format("'{}' is not base64", member.name));
  return std::move(*bytes);
}

// The member `name`_base64 as bytes; nothing if it is not there.
base::Result<std::optional<std::string>> Coded(const Members& members, const std::string& name) {
  auto coded = FindMember(members, name + "_base64");
  if (!coded) return base::Fail(coded.error());
  if (*coded == nullptr) return std::nullopt;
  auto bytes = Decoded(**coded);
  if (!bytes) return base::Fail(bytes.error());
  return std::optional(std::move(*bytes));
}

// A whole number from 0 on, of the digits that stand there; absent: nothing.
base::Result<std::optional<int64_t>> WholeNumber(const Members& members, std::string_view name) {
  auto member = FindMember(members, name);
  if (!member) return base::Fail(member.error());
  if (*member == nullptr) return std::nullopt;
  const std::string_view digits = (*member)->source;
  int64_t number = 0;
  auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && stop == digits.data() + digits.size();
  if (!whole || digits.starts_with('-')) {
    return Bad(fmt::format("'{}' is no whole number from 0 on: {}", name, digits.substr(0, 40)));
  }
  return std::optional(number);
}

// How the value is to be kept.
base::Status FindSettings(const Members& members, Record* record) {
  auto type = FindMember(members, "content_type");
  auto ttl = WholeNumber(members, "ttl");
  auto expires = WholeNumber(members, "expires");
  if (!type) return base::Fail(type.error());
  if (!ttl) return base::Fail(ttl.error());
  if (!expires) return base::Fail(expires.error());
  if (*type != nullptr) {
    if (!(*type)->is_string()) return Bad("'content_type' is not a string");
    record->content_type = (*type)->text;
  }
  record->ttl_s = *ttl;
  record->expires_ms = *expires;
  return {};
}

}  // namespace

base::Result<std::string> JsonKey(const Members& members) {
  auto key = FindMember(members, "key");
  if (!key) return base::Fail(key.error());
  if (*key == nullptr) {
    auto coded = Coded(members, "key");
    if (!coded) return base::Fail(coded.error());
    if (*coded) return std::move(**coded);
    return Bad("no 'key'");
  }
  if ((*key)->is_string() || (*key)->is_plain()) return (*key)->Bytes();
  if ((*key)->source.starts_with('{')) {
    auto inner = ParseJsonLine((*key)->source);
    if (inner && inner->size() == 1 && inner->front().name == "base64") {
      return Decoded(inner->front());
    }
  }
  return Bad("'key' is no string, number or {\"base64\": ...}");
}

base::Status NdjsonReader::FindKey(const Members& members, Record* record) const {
  if (!key_) {
    auto key = JsonKey(members);
    if (!key) return base::Fail(key.error());
    record->key = std::move(*key);
    return {};
  }
  std::string problem;
  auto key = key_->Expand([&](const std::string& field) -> std::optional<std::string> {
    auto member = FindMember(members, field);
    if (!member) problem = member.error().message;
    if (!member || *member == nullptr) return std::nullopt;
    if ((*member)->is_string() || (*member)->is_plain()) return (*member)->Bytes();
    problem = fmt::format("'{}' is no string or number", field);
    return std::nullopt;
  });
  if (!key) return problem.empty() ? base::Status(base::Fail(key.error())) : Bad(problem);
  record->key = std::move(*key);
  return {};
}

base::Status NdjsonReader::FindValue(const Members& members, std::string_view line,
                                     Record* record) const {
  const std::string name = value_.empty() ? "value" : value_;
  auto value = FindMember(members, name);
  auto coded = Coded(members, name);
  auto siblings = FindMember(members, "siblings");
  if (!value) return base::Fail(value.error());
  if (!coded) return base::Fail(coded.error());
  if (*value != nullptr && *coded) return Bad(fmt::format("both '{0}' and '{0}_base64'", name));
  if (*value != nullptr) {
    record->value = (*value)->Bytes();
  } else if (*coded) {
    record->value = std::move(**coded);
  } else if (!siblings || *siblings != nullptr) {
    return Bad("siblings: there is no one value to write");
  } else if (!key_ || !value_.empty()) {
    return Bad(fmt::format("no '{}'", name));
  } else {
    record->value = std::string(line);
    return {};  // its other members are the user's, whatever their names are
  }
  return FindSettings(members, record);
}

// All but the last end where the line begins: what is taken up again there begins with the first.
base::Status NdjsonReader::QueueSiblings(const JsonMember& siblings, const Record& record) {
  boost::json::error_code problem;
  const auto parsed = boost::json::parse({siblings.source.data(), siblings.source.size()}, problem);
  if (problem || !parsed.is_array() || parsed.as_array().empty()) {
    return Bad("'siblings' is no list of values");
  }
  for (const boost::json::value& sibling : parsed.as_array()) {
    const std::string text = boost::json::serialize(sibling);
    const auto members = ParseJsonLine(text);
    if (!members) return Bad("'siblings' is no list of objects");
    Record one = record;
    one.sibling = static_cast<uint32_t>(siblings_.size());
    if (auto status = FindValue(*members, text, &one); !status) return status;
    siblings_.push_back(std::move(one));
  }
  return {};
}

base::Status NdjsonReader::Parse(std::string_view line, Record* record) {
  auto members = ParseJsonLine(line);
  if (!members) return base::Fail(members.error());
  if (auto status = FindKey(*members, record); !status) return status;
  const auto siblings = FindMember(*members, "siblings");
  const auto value = FindMember(*members, "value");
  const bool is_export = !key_ && value_.empty() && siblings && *siblings != nullptr &&
                         (*siblings)->source.starts_with('[') && value && *value == nullptr;
  return is_export ? QueueSiblings(**siblings, *record) : FindValue(*members, line, record);
}

RecordReader::Next NdjsonReader::Read(Record* record, std::string* why) {
  std::string_view line;
  while (true) {
    if (!siblings_.empty()) {
      *record = std::move(siblings_.front());
      siblings_.pop_front();
      return Next::kRecord;
    }
    *record = {};
    const uint64_t start = source_->offset();
    record->line = source_->line();
    if (!source_->Next(&line)) return End(why);
    record->end = source_->offset();
    line = WithoutLineEnd(line);
    if (line.find_first_not_of(" \t") == std::string_view::npos && !source_->cut()) continue;
    base::Status parsed = source_->cut() ? Bad("the line is too long") : Parse(line, record);
    if (parsed && siblings_.empty()) return Next::kRecord;
    if (parsed) {
      for (size_t i = 0; i + 1 < siblings_.size(); ++i) siblings_[i].end = start;
      continue;
    }
    siblings_.clear();
    *why = parsed.error().message;
    return Next::kBad;
  }
}

}  // namespace lariat::cli::transfer
