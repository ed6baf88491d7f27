// SPDX-License-Identifier: Apache-2.0
// lariat-scale: simulates gossip and failure detection in clusters of up to 10,000 nodes and writes
// the page and the plot about it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>

#include "sim/scale/measure.h"
#include "sim/scale/page.h"

namespace {

struct Arguments {
  uint64_t seed = 1;
  bool quick = false;
  uint32_t nodes_min = 1;
  uint32_t nodes_max = 10000;
  std::string mode = "both";
  std::string out;
};

bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return true;
  fmt::print(stderr, "lariat-scale: cannot write {}\n", path);
  return false;
}

int Run(const Arguments& arguments) {
  std::vector<lariat::sim::scale::Row> rows;
  const auto say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  for (const auto& setup : lariat::sim::scale::Setups(arguments.quick)) {
    if (setup.nodes < arguments.nodes_min || setup.nodes > arguments.nodes_max) continue;
    if (arguments.mode == (setup.hierarchical ? "flat" : "hierarchical")) continue;
    rows.push_back(lariat::sim::scale::Measure(setup, arguments.seed, say));
  }
  fmt::print("{}", lariat::sim::scale::Tables(rows));
  if (arguments.out.empty()) return 0;
  const std::string page = lariat::sim::scale::Page(rows, arguments.seed);
  const bool ok = WriteFile(arguments.out + "/scale.md", page) &&
                  WriteFile(arguments.out + "/scale.svg", lariat::sim::scale::Plot(rows));
  return ok ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Simulates gossip and failure detection in large clusters, in virtual time.");
  app.add_option("--seed", arguments.seed, "Decides everything")->capture_default_str();
  app.add_option("--nodes-min", arguments.nodes_min, "Leaves out smaller clusters")
      ->capture_default_str();
  app.add_option("--mode", arguments.mode, "Only this one")
      ->capture_default_str()
      ->check(CLI::IsMember({"flat", "hierarchical", "both"}));
  app.add_option("--nodes-max", arguments.nodes_max, "Leaves out larger clusters")
      ->capture_default_str();
  app.add_option("--out", arguments.out, "Folder for scale.md and scale.svg");
  app.add_flag("--quick", arguments.quick, "Small clusters for a short time");
  CLI11_PARSE(app, argc, argv);
  return Run(arguments);
}
