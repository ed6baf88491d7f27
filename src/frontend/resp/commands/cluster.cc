// SPDX-License-Identifier: Apache-2.0
// The map of a cluster for clients that want one (resp.cluster_mode).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/slots.h"

namespace lariat::frontend::resp::commands {
namespace {

using coordinator::NodeStatus;

// A node that serves, with the slots that are sent to it.
struct Served {
  NodeStatus node;
  std::string id, host;
  int64_t port = 0;
  SlotRange slots;
};

// 40 hexadecimal digits, of which a node's own identity has 32.
std::string IdOf(const NodeStatus& node) {
  std::string id = node.id;
  std::erase(id, '-');
  id.resize(40, '0');
  return id;
}

std::vector<Served> ServedBy(const Shared& shared) {
  std::vector<Served> all;
  std::vector<double> shares;
  for (NodeStatus& node : shared.admin.Status().nodes) {
    const size_t colon = node.resp.rfind(':');
    const bool serves = node.alive && !node.draining && node.state == "normal";
    if (!serves || colon == std::string::npos) continue;
    Served served;
    served.id = IdOf(node);
    served.host = node.resp.substr(0, colon);
    served.port = ParseInt(std::string_view(node.resp).substr(colon + 1)).value_or(0);
    shares.push_back(node.owns);
    served.node = std::move(node);
    all.push_back(std::move(served));
  }
  const auto ranges = DivideSlots(shares);
  for (size_t i = 0; i < all.size(); ++i) all[i].slots = ranges[i];
  std::erase_if(all, [](const Served& served) { return served.slots.first > served.slots.last; });
  return all;
}

bool RefuseStandalone(Call& call) {
  if (call.shared().settings.resp_cluster_mode) return false;
  call.Error("ERR This instance has cluster support disabled");
  return true;
}

}  // namespace

void ClusterSlots(Call call, Args) {
  if (RefuseStandalone(call)) return;
  const auto all = ServedBy(call.shared());
  ReplyWriter writer = call.Writer();
  writer.Array(all.size());
  for (const Served& served : all) {
    writer.Array(3).Int(served.slots.first).Int(served.slots.last);
    writer.Array(4).Bulk(served.host).Int(served.port).Bulk(served.id).Array(0);
  }
  call.Answer(writer);
}

void ClusterShards(Call call, Args) {
  if (RefuseStandalone(call)) return;
  const auto all = ServedBy(call.shared());
  ReplyWriter writer = call.Writer();
  writer.Array(all.size());
  for (const Served& served : all) {
    writer.Map(2).Bulk("slots").Array(2).Int(served.slots.first).Int(served.slots.last);
    writer.Bulk("nodes").Array(1).Map(7).Bulk("id").Bulk(served.id);
    writer.Bulk("port").Int(served.port).Bulk("ip").Bulk(served.host);
    writer.Bulk("endpoint").Bulk(served.host).Bulk("role").Bulk("master");
    writer.Bulk("replication-offset").Int(0).Bulk("health").Bulk("online");
  }
  call.Answer(writer);
}

void ClusterNodes(Call call, Args) {
  if (RefuseStandalone(call)) return;
  std::string lines;
  for (const Served& served : ServedBy(call.shared())) {
    lines += fmt::format("{} {}:{}@{} {}master - 0 0 0 connected {}-{}\n", served.id, served.host,
                         served.port, served.port, served.node.self ? "myself," : "",
                         served.slots.first, served.slots.last);
  }
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Verbatim(lines));
}

void ClusterInfo(Call call, Args) {
  if (RefuseStandalone(call)) return;
  const auto status = call.shared().admin.Status();
  const auto served = ServedBy(call.shared()).size();
  const std::string text = fmt::format(
      "cluster_state:{}\r\ncluster_slots_assigned:{}\r\ncluster_slots_ok:{}\r\n"
      "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:{}\r\n"
      "cluster_size:{}\r\ncluster_current_epoch:{}\r\n",
      served > 0 ? "ok" : "fail", served > 0 ? kSlots : 0, served > 0 ? kSlots : 0,
      status.nodes.size(), served, status.epoch);
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Verbatim(text));
}

void ClusterMyId(Call call, Args) {
  if (RefuseStandalone(call)) return;
  for (const NodeStatus& node : call.shared().admin.Status().nodes) {
    if (node.self) return call.Bulk(IdOf(node));
  }
  call.Error("CLUSTERDOWN this node is no member of a cluster yet");
}

void ClusterKeySlot(Call call, Args args) {
  if (!RefuseStandalone(call)) call.Int(SlotOf(args[2]));
}

// Every node takes reads and writes of every key, so these change nothing.
void ClusterState(Call call, Args) {
  if (!RefuseStandalone(call)) call.Ok();
}

}  // namespace lariat::frontend::resp::commands
