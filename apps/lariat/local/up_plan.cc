// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "apps/lariat/certs/cert_files.h"
#include "apps/lariat/local/up_parts.h"
#include "base/base64.h"

namespace lariat::cli::local {

namespace {

namespace fs = std::filesystem;

tl::expected<std::string, Exit> MakeDirectory(const UpOptions& options) {
  if (options.dir.empty()) {
    std::error_code error;
    std::string pattern = (fs::temp_directory_path(error) / "lariat-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) return pattern;
    return tl::unexpected(Complain(
        Exit::kFailed, fmt::format("cannot make a temporary directory: {}", strerror(errno))));
  }
  std::error_code error;
  fs::create_directories(options.dir, error);
  if (!error) return fs::absolute(options.dir, error).lexically_normal().string();
  return tl::unexpected(
      Complain(Exit::kFailed, fmt::format("cannot make {}: {}", options.dir, error.message())));
}

// What an earlier `lariat up` left in the directory; nodes = 0 if there was none.
tl::expected<ClusterFile, Exit> ReadEarlier(const UpOptions& options) {
  if (options.dir.empty()) return ClusterFile();
  auto file = ReadClusterFile(options.dir);
  if (file) return std::move(*file);
  if (file.error().code == base::Code::kNotFound) return ClusterFile();
  return tl::unexpected(Complain(Exit::kFailed, file.error().message));
}

bool AnyRuns(const ClusterFile& file) {
  const std::string program = fs::path(file.server).filename().string();
  return std::any_of(file.nodes.begin(), file.nodes.end(),
                     [&](const auto& node) { return IsRunning(node.process, program); });
}

// How many nodes from which port: what the caller says, else what the directory already holds.
tl::expected<LayoutInput, Exit> ChooseInput(const UpOptions& options, const ClusterFile& earlier) {
  LayoutInput input;
  const auto held = static_cast<uint32_t>(earlier.nodes.size());
  if (held > 0) {
    input.nodes = held;
    input.base_port = earlier.base_port;
    input.first = earlier.first == 0 ? held : earlier.first;
  }
  input.nodes = options.nodes.value_or(input.nodes);
  input.base_port = options.base_port.value_or(input.base_port);
  if (input.nodes == 0) return tl::unexpected(Complain(Exit::kUsage, "--nodes 0 starts nothing"));
  if (input.nodes < held) {
    return tl::unexpected(Complain(
        Exit::kUsage, fmt::format("{} holds a cluster of {} nodes; nodes leave it with 'lariat "
                                  "decommission NAME', or choose another directory",
                                  options.dir, held)));
  }
  if (held > 0 && input.base_port != earlier.base_port && AnyRuns(earlier)) {
    return tl::unexpected(Complain(
        Exit::kUsage, fmt::format("nodes of {} are running with ports from {} on; stop them first",
                                  options.dir, earlier.base_port)));
  }
  uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  input.shards = options.shards.value_or(DefaultShards(cores, input.nodes));
  return input;
}

void MarkWhatIsThere(const UpOptions& options, const ClusterFile& earlier, Layout* layout) {
  const std::string program = fs::path(earlier.server).filename().string();
  layout->known = !earlier.nodes.empty();
  for (size_t i = earlier.nodes.size(); i < layout->nodes.size(); ++i) {
    layout->nodes[i].fresh = layout->known;
  }
  for (size_t i = 0; i < earlier.nodes.size(); ++i) {
    NodePlan& node = layout->nodes[i];
    node.fresh = earlier.nodes[i].fresh;
    if (IsRunning(earlier.nodes[i].process, program)) {
      node.running = earlier.nodes[i].process;
    } else if (earlier.nodes[i].left) {
      // Asked for by number, it comes back as a new node: the old identity never returns.
      node.left = !options.nodes.has_value();
      node.joins = node.fresh = true;
    }
  }
}

// The data of a node that left and is to start anew stays, under another name.
std::optional<Exit> SetAside(const ClusterFile& earlier, const Layout& layout) {
  for (size_t i = 0; i < earlier.nodes.size(); ++i) {
    const NodePlan& node = layout.nodes[i];
    if (!earlier.nodes[i].left || node.left || node.running || !fs::exists(node.data_dir)) continue;
    std::string aside = node.data_dir + ".left";
    for (int n = 2; fs::exists(aside); ++n) aside = fmt::format("{}.left{}", node.data_dir, n);
    std::error_code error;
    fs::rename(node.data_dir, aside, error);
    if (error) {
      return Complain(Exit::kFailed,
                      fmt::format("cannot rename {}: {}", node.data_dir, error.message()));
    }
    Tell("{} left the cluster earlier and joins as a new node; its old data is {}\n", node.name,
         aside);
  }
  return std::nullopt;
}

// An authority, and a certificate for each node that has none: those from before stay.
std::optional<Exit> MakeCertificates(Layout* layout) {
  constexpr int64_t kDays = 3650;
  const certs::CertOptions options{CertsDir(layout->dir), kDays};
  const auto failed = [](const base::Result<certs::Made>& made) {
    return !made && made.error().code != base::Code::kConflict;
  };
  auto made = certs::MakeAuthority(options, "");
  for (const NodePlan& node : layout->nodes) {
    if (!failed(made)) made = certs::MakeNode(options, node.name, {});
  }
  if (failed(made)) return Complain(Exit::kFailed, made.error().message);
  auto trust = net::LoadTrust({options.dir + "/ca.crt", "", ""});
  if (!trust) return Complain(Exit::kFailed, trust.error().message);
  for (NodePlan& node : layout->nodes) node.trust = *trust;
  return std::nullopt;
}

// Drawn once. Whoever has changed it since keeps the one that is in force: the file is of the first
// start, and this command then only knows less of the nodes.
std::optional<Exit> MakeAdministrator(Layout* layout) {
  constexpr size_t kWords = 6;
  const std::string path = PasswordFile(layout->dir);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    std::random_device entropy;
    std::string bytes;
    for (size_t i = 0; i < kWords; ++i) {
      const uint32_t word = entropy();
      bytes.append(reinterpret_cast<const char*>(&word), sizeof(word));
    }
    const auto written = certs::WriteSecret(path, base::Base64Encode(bytes) + "\n");
    if (!written) return Complain(Exit::kFailed, written.error().message);
  }
  const std::string login = std::string(kAdministrator) + ":" + FirstPassword(layout->dir);
  for (NodePlan& node : layout->nodes) node.authorization = "Basic " + base::Base64Encode(login);
  return std::nullopt;
}

}  // namespace

tl::expected<Layout, Exit> PrepareLayout(UpOptions options) {
  std::error_code ignored;
  // A directory that was made with --secure stays so.
  if (!options.dir.empty())
    options.secure |= fs::exists(CertsDir(options.dir) + "/ca.crt", ignored);
  auto earlier = ReadEarlier(options);
  if (!earlier) return tl::unexpected(earlier.error());
  auto input = ChooseInput(options, *earlier);
  if (!input) return tl::unexpected(input.error());
  const std::string server = options.server.empty() ? FindServer() : options.server;
  if (server.empty()) {
    return tl::unexpected(Complain(Exit::kFailed, "no lariatd beside this program or in PATH"));
  }
  auto preview = PlanLayout(options, *input, server, options.dir);
  if (!preview) return tl::unexpected(Complain(Exit::kUsage, preview.error().message));
  MarkWhatIsThere(options, *earlier, &*preview);
  if (auto taken = PortsInUse(*preview); !taken.empty()) {
    for (const std::string& port : taken) Tell("lariat: {} is in use\n", port);
    return tl::unexpected(
        Complain(Exit::kFailed, "nothing was started; choose other ports with --base-port"));
  }
  auto dir = MakeDirectory(options);
  if (!dir) return tl::unexpected(dir.error());
  Layout layout = *PlanLayout(options, *input, server, *dir);
  MarkWhatIsThere(options, *earlier, &layout);
  if (auto failed = SetAside(*earlier, layout)) return tl::unexpected(*failed);
  if (options.secure) {
    if (auto failed = MakeCertificates(&layout)) return tl::unexpected(*failed);
    if (auto failed = MakeAdministrator(&layout)) return tl::unexpected(*failed);
  }
  return layout;
}

}  // namespace lariat::cli::local
