// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {
namespace {

// Bytes of a record beside key and value (docs/formats/record.md and object.md): data key prefix
// 12, record head with own actor 24, object without actors 25, the engine's own 12; and 19 for each
// actor of the history. Every replica of a key may have coordinated it.
constexpr double kOverheadBytes = 73;
constexpr double kActorBytes = 19;
// An index entry stands for one block: the data key, its prefix, and where the block lies.
constexpr double kBlockBytes = 4096;
constexpr double kIndexEntryBytes = 12 + 16;
// Four memtables of 64 MiB, and as much for connections, queues and the program itself.
constexpr double kFixedMemoryBytes = 512.0 * 1024 * 1024;
// A digest that one more replica sends for a read, with its share of a frame.
constexpr double kDigestBytes = 64;
// What the nodes left may fill when one is gone.
constexpr double kUsableOnLoss = 0.95;
constexpr double kNodesMax = 100'000;
constexpr double kMiB = 1024.0 * 1024;

uint32_t Quorum(uint32_t replication) { return replication / 2 + 1; }

struct Bound {
  const char* name;
  double value, low, high;
};

base::Status Check(const PlanInput& in) {
  const std::array bounds = {
      Bound{"records", in.records, 1, 1e15},
      Bound{"key size", in.key_bytes, 1, 256},
      Bound{"value size", in.value_bytes, 0, 1048576},
      Bound{"replication", static_cast<double>(in.replication), 1, 16},
      Bound{"operations per second", in.ops_per_s, 0, 1e10},
      Bound{"share of reads", in.read_share, 0, 1},
      Bound{"nodes", static_cast<double>(in.nodes), 0, kNodesMax},
      Bound{"disk per node", in.disk_bytes, 0, 1e18},
      Bound{"memory per node", in.memory_bytes, 0, 1e18},
      Bound{"cores per node", in.cores, 0, 1e5},
      Bound{"network per node", in.network_bytes_per_s, 0, 1e15},
      Bound{"CPU per write", in.cpu_us_per_write, 0, 1e6},
      Bound{"CPU per read", in.cpu_us_per_read, 0, 1e6},
      Bound{"compression", in.compression, 0.01, 1},
      Bound{"space amplification", in.space_amplification, 1, 10},
      Bound{"write amplification", in.write_amplification, 1, 100},
      Bound{"filter bits per key", in.filter_bits_per_key, 0, 64},
      Bound{"hot share", in.hot_share, 0, 1},
      Bound{"imbalance", in.imbalance, 0, 1},
      Bound{"disk headroom", in.disk_headroom, 0, 0.9},
      Bound{"memory headroom", in.memory_headroom, 0, 0.9},
      Bound{"CPU headroom", in.cpu_headroom, 0, 0.9},
      Bound{"network headroom", in.network_headroom, 0, 0.9},
  };
  for (const Bound& b : bounds) {
    if (b.value >= b.low && b.value <= b.high) continue;  // false for NaN
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("{} must be {} to {}, not {}", b.name, b.low, b.high, b.value));
  }
  if (in.nodes != 0 && in.nodes < in.replication) {
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("{} nodes cannot hold {} copies of a key: the smallest cluster "
                                  "for replication {} has {} nodes",
                                  in.nodes, in.replication, in.replication, in.replication));
  }
  if (in.memory_bytes > 0 && in.memory_bytes * (1 - in.memory_headroom) <= kFixedMemoryBytes) {
    return base::Fail(
        base::Code::kInvalidArgument,
        fmt::format("memory per node is too small: after {:.0f} % headroom and {:.0f} "
                    "MiB for memtables and the program nothing is left",
                    100 * in.memory_headroom, kFixedMemoryBytes / kMiB));
  }
  return {};
}

// Sums over all nodes; a node's part is a share of these.
struct Totals {
  double stored = 0;
  double filters = 0;
  double indexes = 0;
  double cores = 0;
  double network = 0;      // between nodes, each byte counted where it is sent
  double replication = 0;  // of it, writes
  double log = 0;
  double disk_writes = 0;  // the log's too
};

double Overhead(const PlanInput& in) { return kOverheadBytes + kActorBytes * in.replication; }
double SentBytes(const PlanInput& in) { return Overhead(in) + in.key_bytes + in.value_bytes; }
double StoredBytes(const PlanInput& in) {
  return Overhead(in) + in.compression * (in.key_bytes + in.value_bytes);
}

Totals Add(const PlanInput& in) {
  const double copies = in.records * in.replication;
  const double writes = in.ops_per_s * (1 - in.read_share);
  const double reads = in.ops_per_s * in.read_share;
  Totals t;
  t.stored = copies * StoredBytes(in) * in.space_amplification;
  t.filters = copies * in.filter_bits_per_key / 8;
  t.indexes = std::ceil(copies * SentBytes(in) / kBlockBytes) * (in.key_bytes + kIndexEntryBytes);
  t.cores = (writes * in.cpu_us_per_write + reads * in.cpu_us_per_read) / 1e6;
  t.replication = writes * (in.replication - 1) * SentBytes(in);
  // A read fetches the value from another node at worst, and digests from the rest of the quorum.
  t.network = t.replication;
  t.network += reads * (SentBytes(in) + (Quorum(in.replication) - 1) * kDigestBytes);
  t.log = writes * in.replication * SentBytes(in);
  t.disk_writes = t.log + writes * in.replication * StoredBytes(in) * in.write_amplification;
  return t;
}

// One resource of which all nodes together need `total`, and each of them `fixed` besides.
struct Need {
  const char* resource;
  const char* unit;
  double total, fixed, available, headroom;
  // Data, unlike load, moves to other nodes only if there are enough for all copies.
  bool is_data;
  double Usable() const { return available * (1 - headroom); }
  double UsableOnLoss() const { return available * std::max(kUsableOnLoss, 1 - headroom); }
};

// The part of the fullest of `nodes`. No node can hold more than one copy of everything.
double Part(const PlanInput& in, double nodes, bool is_data) {
  const double part = (1 + in.imbalance) / nodes;
  return is_data ? std::min(part, 1.0 / in.replication) : part;
}

uint64_t NodesToFit(const Need& need, const PlanInput& in, double usable) {
  const double room = usable - need.fixed;
  if (need.is_data && need.total / in.replication <= room) return in.replication;
  return static_cast<uint64_t>(std::min(std::ceil(need.total * (1 + in.imbalance) / room), 1e18));
}

uint64_t NodesFor(const Need& need, const PlanInput& in) {
  if (need.available == 0) return 1;
  const uint64_t nodes = std::max<uint64_t>(NodesToFit(need, in, need.Usable()), 1);
  // Fewer than three copies lose the quorum with the node, whatever the others could carry; and
  // with just as many nodes as copies the data of a lost one stays away.
  if (!in.survive_node_loss || in.replication < 3) return nodes;
  if (need.is_data && nodes <= in.replication) return nodes;
  return std::max(nodes, NodesToFit(need, in, need.UsableOnLoss()) + 1);
}

PlanDemand DemandOf(const Need& need, const PlanInput& in, uint64_t node_count) {
  const auto nodes = static_cast<double>(node_count);
  const bool stays = need.is_data && node_count <= in.replication;
  const double left = stays ? nodes : std::max(nodes - 1, 1.0);
  PlanDemand d;
  d.resource = need.resource;
  d.unit = need.unit;
  d.per_node = need.total * Part(in, nodes, need.is_data) + need.fixed;
  d.per_node_on_loss = need.total * Part(in, left, need.is_data) + need.fixed;
  d.available = need.available;
  d.usable = need.Usable();
  d.usable_on_loss = need.UsableOnLoss();
  d.nodes_needed = NodesFor(need, in);
  const auto fits = [&](double part, double room) {
    return need.available == 0 || part <= room * (1 + 1e-9);  // a node filled to the brim fits
  };
  d.fits = fits(d.per_node, d.usable);
  d.fits_on_loss = fits(d.per_node_on_loss, d.usable_on_loss);
  return d;
}

void FillNode(PlanResult& r, const Totals& t) {
  const PlanInput& in = r.input;
  const double part = Part(in, static_cast<double>(r.nodes), true);
  r.records_per_node = in.records * in.replication * part;
  r.filter_bytes = t.filters * part;
  r.index_bytes = t.indexes * part;
  r.fixed_memory_bytes = kFixedMemoryBytes;
  r.log_bytes_per_s = t.log * part;
  r.disk_write_bytes_per_s = t.disk_writes * part;
  r.replication_bytes_per_s = t.replication * part;
  const double data = r.records_per_node * SentBytes(in);  // blocks are cached uncompressed
  const double resident = r.filter_bytes + r.index_bytes;
  double cache = resident + in.hot_share * data;
  if (in.memory_bytes > 0) {
    cache = std::min(cache, in.memory_bytes * (1 - in.memory_headroom) - kFixedMemoryBytes);
  }
  r.block_cache_bytes = std::max(1.0, std::floor(cache / kMiB)) * kMiB;
  r.hot_share_cached = std::clamp((cache - resident) / data, 0.0, 1.0);
}

void JudgeLoss(PlanResult& r) {
  const uint32_t n = r.input.replication;
  if (n == 1) {
    r.on_loss = "the keys of a lost node are out of reach: there is one copy of each";
    return;
  }
  if (n == 2) {
    r.on_loss = "a quorum of two copies is both: a lost node's keys answer at ONE only";
    return;
  }
  for (const PlanDemand& d : r.demands) {
    if (d.fits_on_loss) continue;
    r.on_loss =
        fmt::format("a quorum of every key stays, but the nodes left run out of {}", d.resource);
    return;
  }
  r.survives_node_loss = true;
  r.on_loss = r.nodes > n
                  ? "a quorum of every key stays, and the nodes left can take over the lost copies"
                  : "a quorum of every key stays; the lost copies come back with a replacement";
}

void Explain(PlanResult& r) {
  const PlanInput& in = r.input;
  auto& a = r.assumptions;
  a.push_back(
      fmt::format("a record adds {:.0f} bytes to key and value (prefix, checksum, version "
                  "history of {} actor(s), engine)",
                  r.overhead_bytes, in.replication));
  a.push_back(
      fmt::format("keys and values are stored at {:.2f} of their size (compression), files "
                  "at {:.2f} times what is live (leveled compaction)",
                  in.compression, in.space_amplification));
  a.push_back(
      fmt::format("a byte stored is written {:.0f} times by flush and compaction, and once "
                  "to the log",
                  in.write_amplification));
  a.push_back(
      fmt::format("filters of {:.0f} bits per key and an index entry per 4 KiB block stay in "
                  "memory; {:.0f} MiB go to memtables and the program",
                  in.filter_bits_per_key, kFixedMemoryBytes / kMiB));
  a.push_back(fmt::format("a write costs {:.0f} us of CPU and a read {:.0f} us, all nodes together",
                          in.cpu_us_per_write, in.cpu_us_per_read));
  a.push_back(
      fmt::format("a write is sent in full to {} other nodes; a read fetches the value from "
                  "one other node and digests from {}",
                  in.replication - 1, Quorum(in.replication) - 1));
  a.push_back(fmt::format("the fullest node has {:.0f} % more than the mean", 100 * in.imbalance));
  a.push_back(
      fmt::format("kept free: {:.0f} % of disk, {:.0f} % of memory, {:.0f} % of CPU, {:.0f} "
                  "% of the network; with a node lost 5 %",
                  100 * in.disk_headroom, 100 * in.memory_headroom, 100 * in.cpu_headroom,
                  100 * in.network_headroom));
  a.emplace_back("no siblings, tombstones, hints, indexes of ordered buckets or backups");
}

std::string Size(double bytes) { return BytesText(static_cast<uint64_t>(bytes)); }

std::string Amount(const PlanDemand& demand, double amount) {
  if (demand.unit == "cores") return fmt::format("{:.2f} cores", amount);
  return Size(amount) + (demand.unit == "bytes/s" ? "/s" : "");
}

std::string DemandTable(const PlanResult& r) {
  Table table({"PER NODE", "NEEDS", "NODE LOST", "HAS", "USABLE", "NODES", ""});
  for (const PlanDemand& d : r.demands) {
    std::vector<std::string> cells = {d.resource, Amount(d, d.per_node),
                                      Amount(d, d.per_node_on_loss)};
    if (d.available == 0) {
      cells.insert(cells.end(), {"-", "-", "-"});
    } else {
      cells.insert(cells.end(),
                   {Amount(d, d.available), Amount(d, d.usable), CountText(d.nodes_needed)});
    }
    if (!d.fits) cells.emplace_back("too small");
    if (d.fits && !d.fits_on_loss) cells.emplace_back("too small when a node is lost");
    table.Add(std::move(cells));
  }
  return table.Render();
}

}  // namespace

base::Result<PlanResult> Plan(const PlanInput& input) {
  if (auto status = Check(input); !status) return base::Fail(status.error());
  const Totals t = Add(input);
  const std::array needs = {
      Need{"disk", "bytes", t.stored, 0, input.disk_bytes, input.disk_headroom, true},
      Need{"memory", "bytes", t.filters + t.indexes, kFixedMemoryBytes, input.memory_bytes,
           input.memory_headroom, true},
      Need{"cpu", "cores", t.cores, 0, input.cores, input.cpu_headroom, false},
      Need{"network", "bytes/s", t.network, 0, input.network_bytes_per_s, input.network_headroom,
           false},
  };
  PlanResult r;
  r.input = input;
  r.nodes_needed = input.replication;
  r.binds = "replication";
  for (const Need& need : needs) {
    const uint64_t nodes = NodesFor(need, input);
    if (nodes <= r.nodes_needed) continue;
    r.nodes_needed = nodes;
    r.binds = need.resource;
  }
  if (static_cast<double>(r.nodes_needed) > kNodesMax) {
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("this would take {} nodes because of {}: give a node more of it",
                                  r.nodes_needed, r.binds));
  }
  r.nodes = input.nodes == 0 ? r.nodes_needed : input.nodes;
  r.fits = r.nodes >= r.nodes_needed;
  for (const Need& need : needs) r.demands.push_back(DemandOf(need, input, r.nodes));
  r.record_bytes = StoredBytes(input);
  r.overhead_bytes = Overhead(input);
  r.data_bytes = input.records * (input.key_bytes + input.value_bytes);
  r.stored_bytes = t.stored;
  r.cluster_replication_bytes_per_s = t.replication;
  FillNode(r, t);
  JudgeLoss(r);
  Explain(r);
  return r;
}

std::string RenderPlanTable(const PlanResult& r) {
  const PlanInput& in = r.input;
  std::string out;
  if (in.nodes == 0) {
    out = fmt::format("{} nodes, because of {}\n\n", CountText(r.nodes), r.binds);
  } else {
    out = fmt::format("{} nodes {}: {} needed, because of {}\n\n", CountText(r.nodes),
                      r.fits ? "are enough" : "are too few", CountText(r.nodes_needed), r.binds);
  }
  out += DemandTable(r) + "\n";
  Table table({"FULLEST NODE", ""});
  table.Add({"records", CountText(static_cast<uint64_t>(r.records_per_node))});
  table.Add({"bytes per record",
             fmt::format("{:.0f}, {:.0f} of them overhead", r.record_bytes, r.overhead_bytes)});
  table.Add({"filters in memory", Size(r.filter_bytes)});
  table.Add({"indexes in memory", Size(r.index_bytes)});
  table.Add({"block cache", fmt::format("{} (storage.block_cache_bytes = {:.0f}), {:.0f} % of the "
                                        "data",
                                        Size(r.block_cache_bytes), r.block_cache_bytes,
                                        100 * r.hot_share_cached)});
  table.Add({"log", Size(r.log_bytes_per_s) + "/s"});
  table.Add({"disk writes", Size(r.disk_write_bytes_per_s) + "/s with compaction"});
  table.Add({"replication", fmt::format("{:.1f} MB/s", r.replication_bytes_per_s / 1e6)});
  out += table.Render() + "\n";
  Table cluster({"CLUSTER", ""});
  cluster.Add({"data, one copy", Size(r.data_bytes)});
  cluster.Add({fmt::format("on disk, {} cop{}", in.replication, in.replication == 1 ? "y" : "ies"),
               Size(r.stored_bytes)});
  cluster.Add({"replication", fmt::format("{:.1f} MB/s", r.cluster_replication_bytes_per_s / 1e6)});
  cluster.Add({"survives a lost node",
               fmt::format("{}: {}", r.survives_node_loss ? "yes" : "no", r.on_loss)});
  out += cluster.Render() + "\nAssumed:\n";
  for (const std::string& text : r.assumptions) out += "- " + text + "\n";
  return out;
}

boost::json::object RenderPlanJson(const PlanResult& r) {
  boost::json::array demands;
  for (const PlanDemand& d : r.demands) {
    boost::json::object o{{"resource", d.resource}, {"unit", d.unit},
                          {"per_node", d.per_node}, {"per_node_on_loss", d.per_node_on_loss},
                          {"fits", d.fits},         {"fits_on_loss", d.fits_on_loss}};
    if (d.available > 0) {
      o["available"] = d.available;
      o["usable"] = d.usable;
      o["usable_on_loss"] = d.usable_on_loss;
      o["nodes_needed"] = d.nodes_needed;
    }
    demands.push_back(std::move(o));
  }
  boost::json::array assumptions;
  for (const std::string& text : r.assumptions) assumptions.emplace_back(text);
  return {{"nodes", r.nodes},
          {"nodes_needed", r.nodes_needed},
          {"binds", r.binds},
          {"fits", r.fits},
          {"survives_node_loss", r.survives_node_loss},
          {"on_loss", r.on_loss},
          {"demands", std::move(demands)},
          {"per_node",
           {{"records", r.records_per_node},
            {"filter_bytes", r.filter_bytes},
            {"index_bytes", r.index_bytes},
            {"fixed_memory_bytes", r.fixed_memory_bytes},
            {"block_cache_bytes", r.block_cache_bytes},
            {"hot_share_cached", r.hot_share_cached},
            {"log_bytes_per_s", r.log_bytes_per_s},
            {"disk_write_bytes_per_s", r.disk_write_bytes_per_s},
            {"replication_bytes_per_s", r.replication_bytes_per_s}}},
          {"cluster",
           {{"data_bytes", r.data_bytes},
            {"stored_bytes", r.stored_bytes},
            {"replication_bytes_per_s", r.cluster_replication_bytes_per_s}}},
          {"record_bytes", r.record_bytes},
          {"record_overhead_bytes", r.overhead_bytes},
          {"assumptions", std::move(assumptions)}};
}

}  // namespace lariat::cli
