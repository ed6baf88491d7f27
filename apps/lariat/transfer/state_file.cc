// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/state_file.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fstream>
#include <iterator>

#include "apps/lariat/local/cluster_file.h"

namespace lariat::cli::transfer {

namespace json = boost::json;

std::string RenderState(const ImportState& state) {
  json::object out = {{"file", state.file},
                      {"bucket", state.bucket},
                      {"size", state.size},
                      {"offset", state.offset},
                      {"records", state.records}};
  return json::serialize(out) + "\n";
}

base::Result<ImportState> ParseState(std::string_view text) {
  json::error_code problem;
  json::value parsed = json::parse({text.data(), text.size()}, problem);
  auto bad = base::Fail(base::Code::kCorruption, "not a state file of lariat import");
  if (problem || !parsed.is_object()) return bad;
  const json::object& object = parsed.as_object();
  ImportState state;
  for (auto [name, field] : {std::pair{"file", &state.file}, {"bucket", &state.bucket}}) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return bad;
    *field = std::string(value->as_string());
  }
  for (auto [name, field] :
       {std::pair{"size", &state.size}, {"offset", &state.offset}, {"records", &state.records}}) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) return bad;
    *field = value->to_number<uint64_t>(problem);
    if (problem) return bad;
  }
  return state;
}

base::Result<std::optional<ImportState>> LoadState(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::optional<ImportState>();
  std::string text(std::istreambuf_iterator<char>(in), {});
  auto state = ParseState(text);
  if (!state) return base::Fail(state.error().code, path + ": " + state.error().message);
  return std::optional<ImportState>(std::move(*state));
}

base::Status SaveState(const std::string& path, const ImportState& state) {
  return local::WriteAtomically(path, RenderState(state));
}

std::string Mismatch(const ImportState& saved, const ImportState& now) {
  if (saved.file != now.file) return fmt::format("is of '{}', not '{}'", saved.file, now.file);
  if (saved.bucket != now.bucket) {
    return fmt::format("is of bucket '{}', not '{}'", saved.bucket, now.bucket);
  }
  if (saved.size != now.size) {
    return fmt::format("is of a file of {} bytes; the file has {} now", saved.size, now.size);
  }
  return "";
}

base::Result<std::optional<ExportState>> LoadExportState(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::optional<ExportState>();
  const std::string text(std::istreambuf_iterator<char>(in), {});
  json::error_code problem;
  const json::value parsed = json::parse(text, problem);
  auto bad = base::Fail(base::Code::kCorruption, path + ": not a state file of lariat export");
  if (problem || !parsed.is_object()) return bad;
  const json::object& object = parsed.as_object();
  for (const char* name : {"bucket", "cursor"}) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return bad;
  }
  ExportState state{std::string(object.at("bucket").as_string()),
                    std::string(object.at("cursor").as_string())};
  for (auto [name, field] : {std::pair{"bytes", &state.bytes}, {"records", &state.records}}) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) return bad;
    *field = value->to_number<uint64_t>(problem);
    if (problem) return bad;
  }
  const json::value* done = object.if_contains("done");
  state.done = done != nullptr && done->is_bool() && done->as_bool();
  return std::optional<ExportState>(std::move(state));
}

base::Status SaveExportState(const std::string& path, const ExportState& state) {
  const json::object out = {{"bucket", state.bucket},
                            {"cursor", state.cursor},
                            {"bytes", state.bytes},
                            {"records", state.records},
                            {"done", state.done}};
  return local::WriteAtomically(path, json::serialize(out) + "\n");
}

}  // namespace lariat::cli::transfer
