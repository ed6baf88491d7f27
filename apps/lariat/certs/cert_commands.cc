// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/lariat/certs/cert_files.h"
#include "apps/lariat/commands.h"

namespace lariat::cli {

namespace {

constexpr int64_t kAuthorityDays = 3650;
constexpr int64_t kNodeDays = 730;
constexpr int64_t kUserDays = 365;
constexpr int64_t kDaysMax = 36500;

struct CertCommand {
  certs::CertOptions options;
  std::string name;
  std::vector<std::string> hosts;
};
using CertCommandPtr = std::shared_ptr<CertCommand>;  // shared by the parser's callbacks

Exit Failed(const base::Error& error) {
  const bool usage = error.code == base::Code::kInvalidArgument;
  return Complain(usage ? Exit::kUsage : Exit::kFailed, error.message);
}

Exit ShowMade(const Common& common, const base::Result<certs::Made>& made) {
  if (!made) return Failed(made.error());
  if (common.json) {
    PrintLine(boost::json::serialize(
        boost::json::object{{"certificate", made->certificate}, {"key", made->key}}));
  } else {
    Print("made {}\n     {} (keep it secret)\n", made->certificate, made->key);
  }
  return Exit::kDone;
}

// What all three take.
CLI::App* AddOne(CLI::App& cert, Session& session, const CertCommandPtr& c, const char* verb,
                 const char* about, const char* example, int64_t days) {
  c->options.days = days;
  CLI::App* command = AddCommand(cert, session, verb, about, example);
  command->add_option("DIR", c->options.dir, "Where ca.crt and ca.key are")->required();
  command
      ->add_option("--days", c->options.days, fmt::format("How long it is good (default {})", days))
      ->check(CLI::Range(int64_t{1}, kDaysMax));
  command->add_flag("--force", c->options.force, "Overwrite what is there");
  return command;
}

}  // namespace

void AddCertCommands(CLI::App& app, Session& session) {
  CLI::App* cert = app.add_subcommand("cert", "Certificates for TLS: an authority, nodes, clients");
  cert->require_subcommand(1);

  auto ca = std::make_shared<CertCommand>();
  CLI::App* command = AddOne(*cert, session, ca, "ca", "Make the authority of a cluster",
                             "  lariat cert ca certs\n"
                             "Keep ca.key away from the nodes: who has it can be anybody.",
                             kAuthorityDays);
  command->add_option("--cluster", ca->name, "Label of the cluster (default: drawn)");
  command->callback([&session, ca] {
    session.run = [&session, ca] {
      return ShowMade(session.common, certs::MakeAuthority(ca->options, ca->name));
    };
  });

  auto node = std::make_shared<CertCommand>();
  command = AddOne(*cert, session, node, "node", "Make the certificate of a node",
                   "  lariat cert node certs node1 --host node1.example --host 10.0.0.1\n"
                   "NAME is the node's node.name.",
                   kNodeDays);
  command->add_option("NAME", node->name, "Its node.name")->required();
  command
      ->add_option("--host", node->hosts,
                   "Name or numeric address by which clients reach it, repeatable (default: "
                   "localhost, 127.0.0.1, ::1)")
      ->allow_extra_args(false);
  command->callback([&session, node] {
    session.run = [&session, node] {
      return ShowMade(session.common, certs::MakeNode(node->options, node->name, node->hosts));
    };
  });

  auto user = std::make_shared<CertCommand>();
  command = AddOne(*cert, session, user, "client", "Make the certificate of a client",
                   "  lariat cert client certs ann", kUserDays);
  command->add_option("USER", user->name, "The user's name")->required();
  command->callback([&session, user] {
    session.run = [&session, user] {
      return ShowMade(session.common, certs::MakeUser(user->options, user->name));
    };
  });

  auto revoked = std::make_shared<CertCommand>();
  command = AddCommand(*cert, session, "revoke", "List a certificate as good no more",
                       "  lariat cert revoke certs ann\n"
                       "Then give ca.crt, which has the list, to all nodes.");
  command->add_option("DIR", revoked->options.dir, "Where ca.crt and ca.key are")->required();
  command->add_option("NAME", revoked->name, "Of the node or the user: DIR/NAME.crt")->required();
  command->callback([&session, revoked] {
    revoked->options.days = kDaysMax;
    session.run = [revoked] {
      auto made = certs::RevokeOne(revoked->options, revoked->name);
      if (!made) return Failed(made.error());
      Print("{} lists it: give that file to all nodes\n", *made);
      return Exit::kDone;
    };
  });
}

}  // namespace lariat::cli
