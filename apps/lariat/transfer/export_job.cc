// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "apps/lariat/net/address.h"
#include "apps/lariat/session.h"
#include "apps/lariat/terminal/text.h"
#include "apps/lariat/transfer/jobs.h"
#include "base/base64.h"

namespace lariat::cli::transfer {

namespace json = boost::json;

namespace {

// As text where the bytes are text, else as base64.
void Set(json::object* object, const std::string& name, std::string_view bytes) {
  bool text = IsUtf8(bytes);
  (*object)[text ? name : name + "_base64"] =
      text ? json::string(bytes.data(), bytes.size()) : json::string(base::Base64Encode(bytes));
}

// The reply's base64 member "value" as Set writes it.
bool CopyValue(const json::value& from, json::object* to) {
  if (!from.is_object() || from.as_object().if_contains("value") == nullptr) return false;
  auto bytes = base::Base64Decode(TextOf(from, "value"));
  if (bytes) Set(to, "value", *bytes);
  return bytes.has_value();
}

}  // namespace

std::optional<std::string> ExportLine(std::string_view key, std::string_view reply) {
  json::error_code problem;
  json::value parsed = json::parse({reply.data(), reply.size()}, problem);
  if (problem || !parsed.is_object()) return std::nullopt;
  json::object line;
  Set(&line, "key", key);
  const json::value* siblings = parsed.as_object().if_contains("siblings");
  if (siblings != nullptr && siblings->is_array() && !siblings->as_array().empty()) {
    json::array values;
    for (const json::value& sibling : siblings->as_array()) {
      json::object value;
      if (!CopyValue(sibling, &value)) return std::nullopt;
      values.push_back(std::move(value));
    }
    line["siblings"] = std::move(values);
    line["context"] = TextOf(parsed, "context");
  } else if (!CopyValue(parsed, &line)) {
    return std::nullopt;
  }
  std::string type = TextOf(parsed, "content_type");
  // What a value without a type of its own is shown as.
  if (!type.empty() && type != "application/octet-stream") line["content_type"] = type;
  return json::serialize(line);
}

net::Request ExportJob::Make(const Record& record) {
  net::Request request;
  // ".../kv/range" is the range request; a key of that name is spelled so that it is none.
  std::string key = record.key == "range" ? "%72ange" : net::PercentEncode(record.key);
  request.target = fmt::format("/v1/buckets/{}/kv/{}{}", net::PercentEncode(bucket_), key, query_);
  return request;
}

Verdict ExportJob::Judge(const Record& record, const net::Response& response) {
  if (response.status == 404) return {Verdict::Kind::kFailed, "missing", "is not there"};
  if (!response.Ok()) return JudgeError(response);
  auto line = ExportLine(record.key, response.body);
  if (!line) return {Verdict::Kind::kFailed, "bad reply", "the reply is not as it should be"};
  *line += '\n';
  if (std::fwrite(line->data(), 1, line->size(), out_) != line->size()) {
    write_failed_ = true;
    return {Verdict::Kind::kFailed, "output", "the line could not be written"};
  }
  return {};
}

RecordReader::Next KeyLineReader::Read(Record* record, std::string* why) {
  std::string_view line;
  while (source_->Next(&line)) {
    *record = {};
    record->end = source_->offset();
    if (source_->cut()) {
      *why = "the line is too long";
      return Next::kBad;
    }
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    record->key = std::string(line);
    return Next::kRecord;
  }
  return End(why);
}

}  // namespace lariat::cli::transfer
