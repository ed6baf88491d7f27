// SPDX-License-Identifier: Apache-2.0
// lariat-scale: simulates gossip and failure detection in clusters of up to 10,000 nodes and writes
// the page and the plot about it.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "sim/scale/measure.h"
#include "sim/scale/page.h"

namespace {

using lariat::sim::scale::Row;
using lariat::sim::scale::Setup;

struct Arguments {
  uint64_t seed = 1;
  bool quick = false;
  uint32_t nodes_min = 1;
  uint32_t nodes_max = 10000;
  std::string mode = "both";
  int jobs = 2;
  std::string out;
};

// Each cluster in a process of its own, `jobs` at a time; the rows come back in memory they share.
std::vector<Row> MeasureAll(const std::vector<Setup>& setups, const Arguments& arguments) {
  const auto say = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
  static_assert(std::is_trivially_copyable_v<Row>);
  const size_t bytes = std::max<size_t>(setups.size(), 1) * sizeof(Row);
  void* const shared =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  LARIAT_CHECK(shared != MAP_FAILED, "memory can be shared");
  Row* const rows = static_cast<Row*>(shared);
  int running = 0;
  const auto wait_for_one = [&] {
    int status = 0;
    LARIAT_CHECK(wait(&status) > 0, "a process is running");
    LARIAT_CHECK(status == 0, "each process ends well");
    --running;
  };
  // The largest last in the table, first in time.
  for (size_t i = setups.size(); i-- > 0;) {
    if (running >= arguments.jobs) wait_for_one();
    const pid_t child = fork();
    LARIAT_CHECK(child >= 0, "a process can be made");
    if (child == 0) {
      rows[i] = Measure(setups[i], arguments.seed, say);
      _exit(0);
    }
    ++running;
  }
  while (running > 0) wait_for_one();
  std::vector<Row> result(rows, rows + setups.size());
  munmap(shared, bytes);
  return result;
}

bool WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return true;
  fmt::print(stderr, "lariat-scale: cannot write {}\n", path);
  return false;
}

int Run(const Arguments& arguments) {
  std::vector<Setup> setups;
  for (const Setup& setup : lariat::sim::scale::Setups(arguments.quick)) {
    if (setup.nodes < arguments.nodes_min || setup.nodes > arguments.nodes_max) continue;
    if (arguments.mode == (setup.hierarchical ? "flat" : "hierarchical")) continue;
    setups.push_back(setup);
  }
  const std::vector<Row> rows = MeasureAll(setups, arguments);
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
  app.add_option("--jobs", arguments.jobs, "Processes at a time; a large one takes 5 GB")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--out", arguments.out, "Folder for scale.md and scale.svg");
  app.add_flag("--quick", arguments.quick, "Small clusters for a short time");
  CLI11_PARSE(app, argc, argv);
  return Run(arguments);
}
