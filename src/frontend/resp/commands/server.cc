// SPDX-License-Identifier: Apache-2.0
// What a client asks about the node, and about commands that took long.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/settings.h"
#include "config/value.h"
#include "frontend/resp/internal/connection.h"
#include "frontend/resp/internal/glob.h"
#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/server_facts.h"

namespace lariat::frontend::resp::commands {
namespace {

using coordinator::ClusterStatus;
using coordinator::NodeStatus;

using Setting = std::pair<std::string, std::string>;

// Names of Redis that its tools ask for.
std::vector<Setting> RedisSettings(const Shared& shared) {
  const config::Settings& s = shared.settings;
  return {{"appendonly", "yes"},
          {"cluster-enabled", s.resp_cluster_mode ? "yes" : "no"},
          {"databases", std::to_string(kDatabases)},
          {"maxclients", std::to_string(s.resp_connections_max)},
          {"maxmemory", "0"},
          {"maxmemory-policy", "noeviction"},
          {"proto-max-bulk-len", std::to_string(shared.kv.ValueBytesMax())},
          {"save", ""},
          {"slowlog-log-slower-than", std::to_string(s.resp_slowlog_us)},
          {"slowlog-max-len", std::to_string(s.resp_slowlog_max)},
          {"timeout", std::to_string(s.resp_idle_timeout_ms / 1000)}};
}

std::string TextOf(const config::Value& value) {
  if (const auto* text = std::get_if<config::Text>(&value)) return *text;
  return config::FormatToml(value);
}

std::string ServerSection(const Shared& shared) {
  const auto health = shared.admin.Health();
  return fmt::format(
      "# Server\r\nredis_version:{}\r\nlariat_version:{}\r\nredis_mode:{}\r\nos:Linux\r\n"
      "arch_bits:64\r\nserver_name:lariat\r\nnode:{}\r\nuptime_in_seconds:{}\r\n"
      "uptime_in_days:{}\r\n",
      kRedisVersion, health.version, ModeOf(shared), health.node, health.uptime_s,
      health.uptime_s / 86400);
}

std::string ClientsSection(const Shared& shared) {
  return fmt::format(
      "# Clients\r\nconnected_clients:{}\r\nmaxclients:{}\r\nblocked_clients:0\r\n"
      "tracking_clients:0\r\n",
      shared.connections.size(), shared.settings.resp_connections_max);
}

std::string MemorySection(const Shared& shared) {
  const NodeStatus* self = nullptr;
  const ClusterStatus status = shared.admin.Status();
  for (const NodeStatus& node : status.nodes) {
    if (node.self) self = &node;
  }
  const uint64_t bytes = self == nullptr ? 0 : self->data_bytes;
  return fmt::format(
      "# Memory\r\nused_memory:{0}\r\nused_memory_human:{1:.2f}M\r\nused_memory_dataset:{0}\r\n"
      "maxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
      bytes, static_cast<double>(bytes) / (1 << 20));
}

std::string PersistenceSection(const Shared&) {
  return "# Persistence\r\nloading:0\r\naof_enabled:1\r\nrdb_bgsave_in_progress:0\r\n"
         "aof_rewrite_in_progress:0\r\n";
}

std::string StatsSection(const Shared& shared) {
  return fmt::format(
      "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\n"
      "rejected_connections:{}\r\nevicted_keys:0\r\n",
      shared.connections_taken, shared.commands,
      shared.metrics.resp_refused[telemetry::RespRefusal::kTooManyConnections].value());
}

std::string ReplicationSection(const Shared&) {
  return "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n";
}

std::string ClusterSection(const Shared& shared) {
  return fmt::format("# Cluster\r\ncluster_enabled:{}\r\n",
                     shared.settings.resp_cluster_mode ? 1 : 0);
}

std::string KeyspaceSection(const Shared&) { return "# Keyspace\r\n"; }

struct Section {
  std::string_view name;
  std::string (*text)(const Shared&);
};
constexpr Section kSections[] = {{"server", ServerSection},   {"clients", ClientsSection},
                                 {"memory", MemorySection},   {"persistence", PersistenceSection},
                                 {"stats", StatsSection},     {"replication", ReplicationSection},
                                 {"cluster", ClusterSection}, {"keyspace", KeyspaceSection}};

bool WantsSection(Args args, std::string_view name) {
  if (args.size() == 1) return true;
  return std::any_of(args.begin() + 1, args.end(), [&](std::string_view word) {
    return EqualsIgnoringCase(word, name) || EqualsIgnoringCase(word, "all") ||
           EqualsIgnoringCase(word, "default") || EqualsIgnoringCase(word, "everything");
  });
}

}  // namespace

void Info(Call call, Args args) {
  std::string text;
  for (const Section& section : kSections) {
    if (!WantsSection(args, section.name)) continue;
    if (!text.empty()) text += "\r\n";
    text += section.text(call.shared());
  }
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Verbatim(text));
}

void Time(Call call, Args) {
  const int64_t micros = call.shared().env.clock.WallMicros();
  ReplyWriter writer = call.Writer();
  writer.Array(2).Bulk(std::to_string(micros / 1'000'000));
  call.Answer(writer.Bulk(std::to_string(micros % 1'000'000)));
}

void Role(Call call, Args) {
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Array(3).Bulk("master").Int(0).Array(0));
}

void Wait(Call call, Args args) {
  const auto wanted = ParseInt(args[1]);
  const auto timeout = ParseInt(args[2]);
  if (!wanted || !timeout) return call.NotAnInteger();
  if (*timeout < 0) return call.Error("ERR timeout is negative");
  // The writes before it are answered, and had their replicas then.
  const uint32_t acks = call.connection()->session().last_acks;
  call.Int(acks > 0 ? acks - 1 : 0);
}

void Lolwut(Call call, Args) {
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Verbatim("Lariat ver. " + call.shared().admin.Health().version + "\n"));
}

void Debug(Call call, Args) {
  call.Error(
      "ERR unsupported: DEBUG (it stops or changes a server behind its clients' backs; "
      "LARIAT.EXPLAIN shows what replicas hold of a key)");
}

void ConfigGet(Call call, Args args) {
  std::vector<Setting> all = RedisSettings(call.shared());
  for (const config::SettingInfo& info : config::SettingTable()) {
    all.emplace_back(info.key(), TextOf(config::Get(call.shared().settings, info)));
  }
  std::erase_if(all, [&](const Setting& setting) {
    return std::none_of(args.begin() + 2, args.end(), [&](std::string_view pattern) {
      return GlobMatches(pattern, setting.first);
    });
  });
  ReplyWriter writer = call.Writer();
  writer.Map(all.size());
  for (const auto& [name, value] : all) writer.Bulk(name).Bulk(value);
  call.Answer(writer);
}

void ConfigSet(Call call, Args) {
  call.Error(
      "ERR unsupported: CONFIG SET (settings come from the configuration file, the "
      "environment and flags; SIGHUP reads again what may change in a running node)");
}

void LatencyDoctor(Call call, Args) {
  ReplyWriter writer = call.Writer();
  call.Answer(
      writer.Verbatim("Latencies are measured always: lariat_request_seconds at /metrics.\n"));
}

void NoEvents(Call call, Args) {
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Array(0));
}

void LatencyReset(Call call, Args) { call.Int(0); }

void SlowlogLen(Call call, Args) { call.Int(static_cast<int64_t>(call.shared().slow.size())); }

void SlowlogReset(Call call, Args) {
  call.shared().slow.clear();
  call.Ok();
}

void SlowlogGet(Call call, Args args) {
  const auto asked = args.size() > 2 ? ParseInt(args[2]) : 10;
  if (!asked || *asked < -1 || args.size() > 3) {
    return call.Error("ERR count should be greater than or equal to -1");
  }
  const auto& slow = call.shared().slow;
  const size_t count =
      *asked < 0 ? slow.size() : std::min(slow.size(), static_cast<size_t>(*asked));
  ReplyWriter writer = call.Writer();
  writer.Array(count);
  for (size_t i = 0; i < count; ++i) {
    writer.Array(6).Int(static_cast<int64_t>(slow[i].id)).Int(slow[i].at.ms / 1000);
    writer.Int(slow[i].micros).Array(slow[i].args.size());
    for (const std::string& arg : slow[i].args) writer.Bulk(arg);
    writer.Bulk(slow[i].from).Bulk(slow[i].client_name);
  }
  call.Answer(writer);
}

}  // namespace lariat::frontend::resp::commands
