// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "apps/lariat/login/credentials.h"
#include "apps/lariat/login/login_commands.h"
#include "apps/lariat/terminal/output.h"
#include "apps/lariat/terminal/table.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

struct UserOptions {
  std::string name;
  std::vector<std::string> roles;
  std::string password_file;
};
using UserOptionsPtr = std::shared_ptr<UserOptions>;  // shared by the parser's callbacks

std::string PathOfUser(const UserOptions& o) {
  return "/v1/admin/users/" + net::PercentEncode(o.name);
}

enum class WantUser : uint8_t { kNew, kExisting };

// A PUT makes what is not there; people who misspell a name want to hear of it.
Exit CheckUser(const Common& common, const UserOptions& o, WantUser want) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  const net::Outcome present = client->Send(AccessRequest("GET", PathOfUser(o)));
  if (!present) return Explain(present.error());
  if (!present->Ok() && present->status != 404) return Explain(*present);
  if (present->Ok() == (want == WantUser::kExisting)) return Exit::kDone;
  if (want == WantUser::kExisting) return Explain(*present);
  return Complain(
      Exit::kNotFound,
      fmt::format("user '{0}' exists; 'lariat user passwd {0}' gives a new password", o.name));
}

Exit PutUser(const Common& common, const UserOptions& o, WantUser want, json::object body) {
  const Exit fits = CheckUser(common, o, want);
  if (fits != Exit::kDone) return fits;
  return ChangeAccess(
      common, AccessRequest("PUT", PathOfUser(o), json::serialize(body)),
      fmt::format("user '{}' is {}", o.name, want == WantUser::kNew ? "made" : "changed"));
}

Exit PutWithPassword(const Common& common, const UserOptions& o, WantUser want) {
  auto password = ReadPassword(o.password_file, o.name);
  if (!password) return Complain(Exit::kUsage, password.error().message);
  json::object body = {{"password", *password}};
  if (want == WantUser::kNew) body["roles"] = json::array(o.roles.begin(), o.roles.end());
  return PutUser(common, o, want, std::move(body));
}

Exit ListAllUsers(const Common& common) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  auto reply = Ask(*client, AccessRequest("GET", "/v1/admin/users"));
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
    return Exit::kDone;
  }
  Table table({"USER", "ROLES", "PASSWORD"});
  for (const json::value& user : ArrayOf(*reply, "users")) {
    std::string roles;
    for (const json::value& role : ArrayOf(user, "roles")) {
      roles += (roles.empty() ? "" : " ") + std::string(role.as_string());
    }
    table.Add({TextOf(user, "name"), roles, FlagOf(user, "has_password") ? "yes" : "no"});
  }
  Print("{}", table.Render());
  return Exit::kDone;
}

CLI::App* AddForUser(CLI::App& user, Session& session, const UserOptionsPtr& o, const char* name,
                     const char* about, const char* example) {
  CLI::App* command = AddCommand(user, session, name, about, example);
  command->add_option("USER", o->name)->required();
  return command;
}

void AddPasswordFile(CLI::App* command, const UserOptionsPtr& o) {
  command
      ->add_option("--password-file", o->password_file,
                   "Its first line is the password (without: a line of standard input)")
      ->type_name("FILE");
}

}  // namespace

void AddUserCommands(CLI::App& app, Session& session) {
  CLI::App* user = app.add_subcommand("user", "Users: who may log in");
  user->require_subcommand(1);

  auto add = std::make_shared<UserOptions>();
  CLI::App* command = AddForUser(*user, session, add, "add", "Make a user",
                                 "  lariat user add ada --role editor --password-file secret");
  command->add_option("--role", add->roles, "A role it has, repeatable")->allow_extra_args(false);
  AddPasswordFile(command, add);
  command->callback([&session, add] {
    session.run = [&session, add] { return PutWithPassword(session.common, *add, WantUser::kNew); };
  });

  auto passwd = std::make_shared<UserOptions>();
  command = AddForUser(*user, session, passwd, "passwd", "Give a new password; all logins end",
                       "  lariat user passwd ada");
  AddPasswordFile(command, passwd);
  command->callback([&session, passwd] {
    session.run = [&session, passwd] {
      return PutWithPassword(session.common, *passwd, WantUser::kExisting);
    };
  });

  auto set = std::make_shared<UserOptions>();
  command = AddForUser(*user, session, set, "set", "Give a user these roles in place of its own",
                       "  lariat user set ada --role editor --role auditor");
  command->add_option("--role", set->roles, "A role it has, repeatable")
      ->allow_extra_args(false)
      ->required();
  command->callback([&session, set] {
    session.run = [&session, set] {
      return PutUser(session.common, *set, WantUser::kExisting,
                     {{"roles", json::array(set->roles.begin(), set->roles.end())}});
    };
  });

  auto del = std::make_shared<UserOptions>();
  command = AddForUser(*user, session, del, "del", "Remove a user; all its logins end",
                       "  lariat user del ada");
  command->callback([&session, del] {
    session.run = [&session, del] {
      return ChangeAccess(session.common, AccessRequest("DELETE", PathOfUser(*del)),
                          fmt::format("user '{}' is gone", del->name));
    };
  });

  command = AddCommand(*user, session, "list", "All users", "  lariat user list");
  command->callback(
      [&session] { session.run = [&session] { return ListAllUsers(session.common); }; });
}

}  // namespace lariat::cli
