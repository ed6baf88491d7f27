// SPDX-License-Identifier: Apache-2.0
// DIR/cluster.json: what `lariat up` started in a directory, for `lariat down` and for the next
// `lariat up` there. The text is JSON; unknown members are ignored.
#pragma once

#include <string>
#include <vector>

#include "apps/lariat/local/process.h"
#include "base/result.h"

namespace lariat::cli::local {

struct ClusterFile {
  struct Node {
    std::string name;
    ProcessId process;
    bool left = false;   // is no member any more
    bool fresh = false;  // was not seen as a member yet
  };
  uint32_t base_port = 0;
  uint32_t first = 0;       // so many nodes formed the cluster; 0: all
  std::string server;       // path of the lariatd that runs
  std::vector<Node> nodes;  // node1, node2, ...
};

std::string ClusterFilePath(const std::string& dir);
std::string RenderClusterFile(const ClusterFile& file);
base::Result<ClusterFile> ParseClusterFile(std::string_view text);

// kNotFound if there is none.
base::Result<ClusterFile> ReadClusterFile(const std::string& dir);
base::Status WriteClusterFile(const std::string& dir, const ClusterFile& file);

// Writes a file so that a reader sees either the old or the new text, also after a crash.
base::Status WriteAtomically(const std::string& path, std::string_view text);

}  // namespace lariat::cli::local
