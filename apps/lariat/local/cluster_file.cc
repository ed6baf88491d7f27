// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/cluster_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

namespace lariat::cli::local {

namespace json = boost::json;

namespace {

uint64_t Number(const json::object& object, std::string_view member) {
  const json::value* value = object.if_contains({member.data(), member.size()});
  if (value == nullptr) return 0;
  json::error_code problem;
  auto number = value->to_number<uint64_t>(problem);
  return problem ? 0 : number;
}

bool Flag(const json::object& object, std::string_view member) {
  const json::value* value = object.if_contains({member.data(), member.size()});
  return value != nullptr && value->is_bool() && value->as_bool();
}

std::string Text(const json::object& object, std::string_view member) {
  const json::value* value = object.if_contains({member.data(), member.size()});
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

}  // namespace

std::string ClusterFilePath(const std::string& dir) { return dir + "/cluster.json"; }

std::string RenderClusterFile(const ClusterFile& file) {
  json::array nodes;
  for (const auto& node : file.nodes) {
    nodes.push_back({{"name", node.name},
                     {"pid", node.process.pid},
                     {"start_ticks", node.process.start_ticks},
                     {"left", node.left},
                     {"fresh", node.fresh}});
  }
  json::object out = {{"base_port", file.base_port},
                      {"first_nodes", file.first},
                      {"server", file.server},
                      {"nodes", nodes}};
  return json::serialize(out) + "\n";
}

base::Result<ClusterFile> ParseClusterFile(std::string_view text) {
  json::error_code problem;
  json::value parsed = json::parse({text.data(), text.size()}, problem);
  const json::value* nodes =
      !problem && parsed.is_object() ? parsed.as_object().if_contains("nodes") : nullptr;
  if (nodes == nullptr || !nodes->is_array()) {
    return base::Fail(base::Code::kCorruption, "not a cluster.json");
  }
  ClusterFile out;
  out.base_port = static_cast<uint32_t>(Number(parsed.as_object(), "base_port"));
  out.first = static_cast<uint32_t>(Number(parsed.as_object(), "first_nodes"));
  out.server = Text(parsed.as_object(), "server");
  for (const json::value& node : nodes->as_array()) {
    if (!node.is_object()) return base::Fail(base::Code::kCorruption, "a node is no object");
    const json::object& object = node.as_object();
    ProcessId process{static_cast<pid_t>(Number(object, "pid")), Number(object, "start_ticks")};
    out.nodes.push_back(
        {Text(object, "name"), process, Flag(object, "left"), Flag(object, "fresh")});
  }
  return out;
}

base::Result<ClusterFile> ReadClusterFile(const std::string& dir) {
  std::ifstream in(ClusterFilePath(dir), std::ios::binary);
  if (!in) {
    return base::Fail(base::Code::kNotFound, fmt::format("no {}", ClusterFilePath(dir)));
  }
  std::string text(std::istreambuf_iterator<char>(in), {});
  auto parsed = ParseClusterFile(text);
  if (!parsed) parsed.error().message = ClusterFilePath(dir) + ": " + parsed.error().message;
  return parsed;
}

base::Status WriteClusterFile(const std::string& dir, const ClusterFile& file) {
  return WriteAtomically(ClusterFilePath(dir), RenderClusterFile(file));
}

base::Status WriteAtomically(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool good = fd >= 0;
  while (good && !text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    good = written > 0 || (written < 0 && errno == EINTR);
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  good = good && fsync(fd) == 0;
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && good) {
    good = false;
    error = errno;
  }
  if (good && std::rename(temporary.c_str(), path.c_str()) == 0) return {};
  if (good) error = errno;
  if (fd >= 0) unlink(temporary.c_str());
  return base::Fail(base::Code::kIo, fmt::format("cannot write {}: {}", path, strerror(error)));
}

}  // namespace lariat::cli::local
