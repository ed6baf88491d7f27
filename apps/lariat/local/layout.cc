// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/local/layout.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace lariat::cli::local {

namespace {

constexpr uint32_t kPortsPerNode = 10;

std::string Loopback(uint32_t port) { return fmt::format("127.0.0.1:{}", port); }

bool CanListen(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  // As the server does, so that connections of an earlier run that linger do not count.
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bool free =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(fd, 1) == 0;
  close(fd);
  return free;
}

bool IsPlainWord(const std::string& word) {
  auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || std::strchr("_-./:=,+@%", c); };
  return !word.empty() && std::all_of(word.begin(), word.end(), plain);
}

}  // namespace

uint32_t DefaultShards(uint32_t cores, uint32_t nodes) { return std::max(1U, cores / nodes); }

base::Result<Layout> PlanLayout(const UpOptions& options, LayoutInput input,
                                const std::string& server, const std::string& dir) {
  uint32_t last_port = input.base_port + kPortsPerNode * (input.nodes - 1) + 2;
  if (input.nodes < 1 || input.nodes > kNodesMax || input.base_port < 1 || last_port > 65535) {
    return base::Fail(base::Code::kInvalidArgument,
                      fmt::format("{} nodes from port {} on: 1 to {} nodes and ports up to 65535 "
                                  "are possible",
                                  input.nodes, input.base_port, kNodesMax));
  }
  Layout layout;
  layout.dir = dir;
  layout.temporary = options.dir.empty();
  layout.base_port = input.base_port;
  layout.first = input.first == 0 ? input.nodes : std::min(input.first, input.nodes);
  std::string join;
  for (uint32_t i = 0; i < layout.first; ++i) {
    join += (i == 0 ? "" : ",") + Loopback(input.base_port + kPortsPerNode * i + 2);
  }
  for (uint32_t i = 0; i < input.nodes; ++i) {
    uint32_t port = input.base_port + kPortsPerNode * i;
    NodePlan node;
    node.name = fmt::format("node{}", i + 1);
    node.http = Loopback(port);
    node.resp = Loopback(port + 1);
    node.peer = Loopback(port + 2);
    node.data_dir = dir + "/" + node.name;
    node.log = node.data_dir + ".log";
    node.joins = i >= layout.first;
    node.command = {server,    "--name",  node.name, "--data-dir", node.data_dir,
                    "--http",  node.http, "--resp",  node.resp,    "--peer",
                    node.peer, "--join",  join,      "--shards",   std::to_string(input.shards)};
    // No load balancer is in front of these nodes, so none has to be given time.
    node.command.insert(node.command.end(), {"--set", "shutdown.linger_ms=0"});
    if (options.secure) {
      const std::string certs = CertsDir(dir) + "/";
      node.command.insert(
          node.command.end(),
          {"--set", "security.ca_file=" + certs + "ca.crt", "--set",
           "security.cert_file=" + certs + node.name + ".crt", "--set",
           "security.key_file=" + certs + node.name + ".key", "--set", "security.auth=on", "--set",
           "security.bootstrap_password_file=" + PasswordFile(dir)});
    }
    for (const std::string& setting : options.settings) {
      node.command.insert(node.command.end(), {"--set", setting});
    }
    layout.nodes.push_back(std::move(node));
  }
  return layout;
}

std::string CertsDir(const std::string& dir) { return dir + "/certs"; }

std::string PasswordFile(const std::string& dir) { return dir + "/admin.password"; }

std::string FirstPassword(const std::string& dir) {
  std::ifstream file(PasswordFile(dir));
  std::string line;
  std::getline(file, line);
  return line;
}

std::string ShellText(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    if (IsPlainWord(word)) {
      out += word;
      continue;
    }
    out += '\'';
    for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

std::string FindServer() {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  auto beside = self.parent_path() / "lariatd";
  if (!error && access(beside.c_str(), X_OK) == 0) return beside.string();
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = folder + "/lariatd";
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

std::vector<std::string> PortsInUse(const Layout& layout) {
  std::vector<std::string> out;
  auto check = [&](const NodePlan& node, const char* what, const std::string& address) {
    auto port = static_cast<uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
    if (!CanListen(port)) out.push_back(fmt::format("port {} ({} of {})", port, what, node.name));
  };
  for (const NodePlan& node : layout.nodes) {
    if (node.left || node.running) continue;
    check(node, "HTTP", node.http);
    check(node, "RESP", node.resp);
    check(node, "peer", node.peer);
  }
  return out;
}

}  // namespace lariat::cli::local
