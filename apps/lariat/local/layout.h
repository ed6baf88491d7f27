// SPDX-License-Identifier: Apache-2.0
// How a local cluster is laid out: names, ports, directories, command lines. Pure, but for the two
// functions that look at the machine (FindServer, PortsInUse).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/lariat/local/process.h"
#include "apps/lariat/net/trust.h"
#include "base/result.h"

namespace lariat::cli::local {

inline constexpr uint16_t kDefaultBasePort = 7480;
inline constexpr uint32_t kNodesMax = 100;

struct UpOptions {
  std::optional<uint32_t> nodes;      // what the directory holds, else 3; more than that: it grows
  std::optional<uint32_t> base_port;  // likewise, else 7480
  std::optional<uint32_t> shards;
  std::string dir;                    // empty: temporary
  std::string server;                 // path of lariatd; empty: found
  std::vector<std::string> settings;  // section.key=value
  double timeout_s = 60;
  bool detach = false;
  bool secure = false;  // TLS, with certificates in the directory
  bool json = false;
};

struct NodePlan {
  std::string name;
  std::string http, resp, peer;  // host:port
  std::string data_dir, log;
  std::vector<std::string> command;         // of lariatd, program first
  bool joins = false;                       // came later: it joins the cluster of the first ones
  bool fresh = false;                       // was not seen as a member yet
  bool left = false;                        // is no member any more: not started
  std::optional<ProcessId> running;         // started by an earlier `lariat up`
  std::shared_ptr<const net::Trust> trust;  // null: no TLS
  std::string authorization;                // of the administrator; empty: nobody has to log in
};

struct Layout {
  std::string dir;
  bool temporary = false;
  bool known = false;  // the directory held a cluster before
  uint32_t base_port = kDefaultBasePort;
  uint32_t first = 0;  // so many nodes formed the cluster; the others join it
  std::vector<NodePlan> nodes;
};

struct LayoutInput {
  uint32_t nodes = 3;
  uint32_t base_port = kDefaultBasePort;
  uint32_t shards = 1;
  uint32_t first = 0;  // 0: all
};

base::Result<Layout> PlanLayout(const UpOptions& options, LayoutInput input,
                                const std::string& server, const std::string& dir);

// Where `lariat up --secure` keeps what it makes; that it is there makes a directory secure.
std::string CertsDir(const std::string& dir);
// The first password of its administrator, whose name is kAdministrator.
std::string PasswordFile(const std::string& dir);
inline constexpr const char* kAdministrator = "admin";
std::string FirstPassword(const std::string& dir);  // empty if it cannot be read

// Shards per node when nobody says: the cores divided among the nodes.
uint32_t DefaultShards(uint32_t cores, uint32_t nodes);

// A command line that a shell reads back as the same words.
std::string ShellText(const std::vector<std::string>& words);

// lariatd beside this program, else the first one in PATH; empty if there is none.
std::string FindServer();

// One line for each port that something listens on, of the nodes that are to be started.
std::vector<std::string> PortsInUse(const Layout& layout);

}  // namespace lariat::cli::local
