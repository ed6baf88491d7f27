// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "apps/lariat/net/address.h"
#include "apps/lariat/session.h"
#include "apps/lariat/terminal/text.h"
#include "apps/lariat/transfer/jobs.h"
#include "apps/lariat/transfer/read/ndjson_reader.h"
#include "base/base64.h"

namespace lariat::cli::transfer {

namespace json = boost::json;

namespace {

// What belongs to a value beside its bytes.
void CopySettings(const json::value& from, json::object* to) {
  std::string type = TextOf(from, "content_type");
  // What a value without a type of its own is shown as.
  if (!type.empty() && type != "application/octet-stream") (*to)["content_type"] = type;
  const json::value* expires = from.as_object().if_contains("expires");
  if (expires != nullptr && expires->is_int64()) (*to)["expires"] = *expires;
}

// The reply's base64 member "value" as text where the bytes are text, else as base64.
bool CopyValue(const json::value& from, json::object* to) {
  if (!from.is_object() || from.as_object().if_contains("value") == nullptr) return false;
  if (from.as_object().contains("type")) return false;  // it merges, and is no base64
  auto bytes = base::Base64Decode(TextOf(from, "value"));
  if (!bytes) return false;
  if (IsUtf8(*bytes)) {
    (*to)["value"] = *bytes;
  } else {
    (*to)["value_base64"] = base::Base64Encode(*bytes);
  }
  return true;
}

}  // namespace

std::optional<std::string> ExportLine(std::string_view key, std::string_view reply) {
  json::error_code problem;
  json::value parsed = json::parse({reply.data(), reply.size()}, problem);
  if (problem) return std::nullopt;
  return ExportLineOf(key, parsed);
}

std::optional<std::string> ExportLineOf(std::string_view key, const json::value& shown) {
  if (!shown.is_object()) return std::nullopt;
  json::object line;
  if (IsUtf8(key)) {
    line["key"] = json::string(key.data(), key.size());
  } else {
    line["key"] = json::object{{"base64", base::Base64Encode(key)}};
  }
  const bool of_list = shown.as_object().if_contains("values") != nullptr;
  const json::array& siblings = ArrayOf(shown, of_list ? "values" : "siblings");
  if (siblings.empty()) {
    if (!CopyValue(shown, &line)) return std::nullopt;
    CopySettings(shown, &line);
    return json::serialize(line);
  }
  json::array values;
  for (const json::value& sibling : siblings) {
    json::object value;
    if (!CopyValue(sibling, &value)) return std::nullopt;
    CopySettings(sibling, &value);
    values.push_back(std::move(value));
  }
  line["siblings"] = std::move(values);
  line["context"] = TextOf(shown, "context");
  return json::serialize(line);
}

net::Request ExportJob::Make(const Record& record) {
  net::Request request;
  request.target = fmt::format("/v1/buckets/{}/kv/{}{}", net::PercentEncode(bucket_),
                               net::PercentEncode(record.key), query_);
  return request;
}

Verdict ExportJob::Judge(const Record& record, const net::Response& response) {
  if (response.status == 404) return {Verdict::Kind::kFailed, "missing", "is not there"};
  if (!response.Ok()) return JudgeError(response);
  auto line = ExportLine(record.key, response.body);
  if (!line) {
    return {Verdict::Kind::kFailed, "bad reply",
            "the reply is not base64 of a value; values that merge cannot be exported yet"};
  }
  *line += '\n';
  if (!write_(*line)) return {Verdict::Kind::kStop, "output", "the line could not be written"};
  return {};
}

namespace {

base::Result<std::string> KeyOf(std::string_view line) {
  const std::string wrapped = fmt::format("{{\"key\":{}}}", line);
  auto members = ParseJsonLine(line);
  if (!members || (members->size() == 1 && members->front().name == "base64")) {
    members = ParseJsonLine(wrapped);
  }
  if (!members) return base::Fail(members.error());
  return JsonKey(*members);
}

}  // namespace

RecordReader::Next KeyReader::Read(Record* record, std::string* why) {
  std::string_view line;
  while (true) {
    *record = {};
    record->line = source_->line();
    if (!source_->Next(&line)) return End(why);
    record->end = source_->offset();
    line = WithoutLineEnd(line);
    if (line.empty() && !source_->cut()) continue;
    if (source_->cut()) {
      *why = "the line is too long";
      return Next::kBad;
    }
    if (form_ == Form::kBytes) {
      record->key = std::string(line);
      return Next::kRecord;
    }
    auto key = KeyOf(line);
    if (key) record->key = std::move(*key);
    if (!key) *why = key.error().message;
    return key ? Next::kRecord : Next::kBad;
  }
}

}  // namespace lariat::cli::transfer
