// SPDX-License-Identifier: Apache-2.0
// The options of `lariat plan`; the arithmetic is plan.h.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "apps/lariat/commands.h"
#include "apps/lariat/plan/plan.h"

namespace lariat::cli {

namespace {

using Input = std::shared_ptr<PlanInput>;  // shared by the parser's callbacks

void AddLoadOptions(CLI::App* command, const Input& in) {
  const CLI::AsSizeValue bytes(false);  // 64K, 500G: powers of 1024
  command->add_option("--records", in->records, "How many, for example 1e9")->required();
  command->add_option("--key-bytes", in->key_bytes, "Mean size of a key")->transform(bytes);
  command->add_option("--value-bytes", in->value_bytes, "Mean size of a value")->transform(bytes);
  command->add_option("-n,--replication", in->replication, "Copies of each record");
  command->add_option("--ops", in->ops_per_s, "Operations per second of the whole cluster");
  command->add_option("--read-share", in->read_share, "Share of reads among them, 0 to 1");
  command->add_option("--hot-share", in->hot_share, "Share of the data wanted in memory, 0 to 1");
}

void AddNodeOptions(CLI::App* command, const Input& in) {
  const CLI::AsSizeValue bytes(false);
  command->add_option("--nodes", in->nodes, "How many (default: the smallest number that fits)");
  command->add_option("--disk", in->disk_bytes, "Of one node, for example 2T")->transform(bytes);
  command->add_option("--memory", in->memory_bytes, "Of one node, for example 64G")
      ->transform(bytes);
  command->add_option("--cores", in->cores, "Of one node");
  command->add_option("--network", in->network_bytes_per_s, "Bytes per second of one node")
      ->transform(bytes);
}

void AddFactorOptions(CLI::App* command, const Input& in) {
  command->add_option("--cpu-us-per-write", in->cpu_us_per_write,
                      "CPU of a write over all its replicas; 'lariat bench --pids' measures it");
  command->add_option("--cpu-us-per-read", in->cpu_us_per_read, "CPU of a read, likewise");
  command->add_option("--compression", in->compression, "Stored size / size; 1 = none");
  command->add_option("--space-amplification", in->space_amplification, "Of compaction");
  command->add_option("--write-amplification", in->write_amplification, "Of compaction");
  command->add_option("--filter-bits", in->filter_bits_per_key, "Of the Bloom filters, per key");
  command->add_option("--imbalance", in->imbalance, "How far the fullest node is above the mean");
  command->add_option("--disk-headroom", in->disk_headroom, "Share kept free");
  command->add_option("--memory-headroom", in->memory_headroom, "Share kept free");
  command->add_option("--cpu-headroom", in->cpu_headroom, "Share kept free");
  command->add_option("--network-headroom", in->network_headroom, "Share kept free");
  command->add_flag_callback(
      "--no-spare", [in] { in->survive_node_loss = false; },
      "Do not ask that the nodes left carry everything when one is lost");
}

Exit RunPlan(const Common& common, const PlanInput& input) {
  auto plan = Plan(input);
  if (!plan) return Complain(Exit::kUsage, plan.error().message);
  if (common.json) {
    PrintLine(boost::json::serialize(RenderPlanJson(*plan)));
  } else {
    Print("{}", RenderPlanTable(*plan));
  }
  return plan->fits ? Exit::kDone : Exit::kFailed;
}

}  // namespace

void AddPlanCommand(CLI::App& app, Session& session) {
  auto in = std::make_shared<PlanInput>();
  CLI::App* command = AddCommand(app, session, "plan", "How many nodes a load needs; asks no node",
                                 "  lariat plan --records 1e9 --value-bytes 500 --ops 50000 --disk "
                                 "2T --memory 64G --cores 16\n"
                                 "  lariat plan --records 1e8 --nodes 3 --disk 500G\n"
                                 "Exit code 1 if the nodes given do not suffice.");
  AddLoadOptions(command, in);
  AddNodeOptions(command, in);
  AddFactorOptions(command, in);
  command->callback([&session, in] {
    session.needs_login = false;
    session.run = [&session, in] { return RunPlan(session.common, *in); };
  });
}

}  // namespace lariat::cli
