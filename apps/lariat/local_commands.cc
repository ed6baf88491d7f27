// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>

#include "apps/lariat/commands.h"
#include "apps/lariat/local/up.h"

namespace lariat::cli {

void AddLocalCommands(CLI::App& app, Session& session) {
  auto up = std::make_shared<local::UpOptions>();  // shared by the parser's callbacks
  CLI::App* command = AddCommand(app, session, "up", "Start a local cluster of real nodes",
                                 "  lariat up\n"
                                 "  lariat up --nodes 5 --dir ~/lariat-data --detach\n"
                                 "  lariat up --set storage.durability=periodic\n"
                                 "On a --dir that holds a cluster it starts the nodes that do not "
                                 "run, and leaves out those that left.");
  command->add_option("--nodes", up->nodes,
                      "How many (default 3, or what --dir holds); more than --dir holds: the new "
                      "ones join");
  command->add_option("--dir", up->dir,
                      "Where data, logs and cluster.json go (default: temporary)");
  command->add_flag("--secure", up->secure,
                    "TLS for clients and between the nodes, with certificates in DIR/certs");
  command->add_flag("--detach", up->detach, "Return when the cluster serves; needs --dir");
  command->add_option("--base-port", up->base_port, "HTTP port of node1 (default 7480)");
  command->add_option("--shards", up->shards, "Event loops of a node (default: cores / nodes)");
  command->add_option("--set", up->settings, "section.key=value for every node, repeatable")
      ->allow_extra_args(false);
  command->add_option("--timeout-s", up->timeout_s, "Longest wait for all nodes to serve");
  command->add_option("--server", up->server, "Path of lariatd (default: beside lariat, or PATH)");
  command->callback([&session, up] {
    session.needs_login = false;
    session.run = [&session, up] {
      up->json = session.common.json;
      return local::Up(*up);
    };
  });

  auto down = std::make_shared<local::DownOptions>();
  command = AddCommand(app, session, "down", "Stop a local cluster; its data stays",
                       "  lariat down --dir ~/lariat-data");
  command->add_option("--dir", down->dir, "The --dir of 'lariat up'")->required();
  command->add_option("--timeout-s", down->timeout_s, "Seconds before a node is killed");
  command->callback([&session, down] {
    session.needs_login = false;
    session.run = [&session, down] {
      down->json = session.common.json;
      return local::Down(*down);
    };
  });
}

}  // namespace lariat::cli
