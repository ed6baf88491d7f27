// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "apps/lariat/login/login_commands.h"
#include "apps/lariat/terminal/output.h"
#include "apps/lariat/terminal/table.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

struct RoleOptions {
  std::string name;
  std::vector<std::string> actions;
  std::string bucket, prefix;
};
using RoleOptionsPtr = std::shared_ptr<RoleOptions>;  // shared by the parser's callbacks

std::string PathOfRole(const RoleOptions& o) {
  return "/v1/admin/roles/" + net::PercentEncode(o.name);
}

Exit ChangeGrants(const Common& common, const RoleOptions& o, const char* method) {
  json::object body = {{"actions", json::array(o.actions.begin(), o.actions.end())},
                       {"bucket", o.bucket},
                       {"prefix", o.prefix}};
  return ChangeAccess(common,
                      AccessRequest(method, PathOfRole(o) + "/grants", json::serialize(body)),
                      fmt::format("role '{}' is changed", o.name));
}

Exit ListAllRoles(const Common& common) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  auto reply = Ask(*client, AccessRequest("GET", "/v1/admin/roles"));
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
    return Exit::kDone;
  }
  Table table({"ROLE", "ACTIONS", "BUCKET", "PREFIX"});
  for (const json::value& role : ArrayOf(*reply, "roles")) {
    const json::array& grants = ArrayOf(role, "grants");
    if (grants.empty()) table.Add({TextOf(role, "name"), "-", "-", "-"});
    for (const json::value& grant : grants) {
      std::string actions;
      for (const json::value& action : ArrayOf(grant, "actions")) {
        actions += (actions.empty() ? "" : ",") + std::string(action.as_string());
      }
      table.Add({TextOf(role, "name"), actions, TextOf(grant, "bucket"), TextOf(grant, "prefix")});
    }
  }
  Print("{}", table.Render());
  return Exit::kDone;
}

CLI::App* AddForRole(CLI::App& role, Session& session, const RoleOptionsPtr& o, const char* name,
                     const char* about, const char* example) {
  CLI::App* command = AddCommand(role, session, name, about, example);
  command->add_option("ROLE", o->name)->required();
  return command;
}

void AddGrantOptions(CLI::App* command, const RoleOptionsPtr& o) {
  command->add_option("ACTION", o->actions, "read, write, delete or admin; several with commas")
      ->delimiter(',')
      ->required();
  command->add_option("--bucket", o->bucket, "A bucket's name, or '*' for all")->required();
  command->add_option("--prefix", o->prefix, "Only keys that begin so");
}

}  // namespace

void AddRoleCommands(CLI::App& app, Session& session) {
  CLI::App* role = app.add_subcommand("role", "Roles: what users may do");
  role->require_subcommand(1);

  auto create = std::make_shared<RoleOptions>();
  CLI::App* command = AddForRole(*role, session, create, "create", "Make a role without grants",
                                 "  lariat role create editor");
  command->callback([&session, create] {
    session.run = [&session, create] {
      return ChangeAccess(session.common, AccessRequest("PUT", PathOfRole(*create), "{}"),
                          fmt::format("role '{}' is there", create->name));
    };
  });

  auto del = std::make_shared<RoleOptions>();
  command = AddForRole(*role, session, del, "del", "Remove a role that no user has",
                       "  lariat role del editor");
  command->callback([&session, del] {
    session.run = [&session, del] {
      return ChangeAccess(session.common, AccessRequest("DELETE", PathOfRole(*del)),
                          fmt::format("role '{}' is gone", del->name));
    };
  });

  auto grant = std::make_shared<RoleOptions>();
  command = AddForRole(*role, session, grant, "grant", "Give a role actions on keys of a bucket",
                       "  lariat role grant editor read,write --bucket carts --prefix user:");
  AddGrantOptions(command, grant);
  command->callback([&session, grant] {
    session.run = [&session, grant] { return ChangeGrants(session.common, *grant, "POST"); };
  });

  auto revoke = std::make_shared<RoleOptions>();
  command = AddForRole(*role, session, revoke, "revoke", "Take actions from a role",
                       "  lariat role revoke editor write --bucket carts --prefix user:");
  AddGrantOptions(command, revoke);
  command->callback([&session, revoke] {
    session.run = [&session, revoke] { return ChangeGrants(session.common, *revoke, "DELETE"); };
  });

  command = AddCommand(*role, session, "list", "All roles and their grants", "  lariat role list");
  command->callback(
      [&session] { session.run = [&session] { return ListAllRoles(session.common); }; });
}

}  // namespace lariat::cli
