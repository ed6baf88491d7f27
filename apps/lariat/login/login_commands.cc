// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/login/login_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "apps/lariat/commands.h"
#include "apps/lariat/login/credentials.h"
#include "apps/lariat/terminal/output.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

Exit LogIn(const Common& common, const std::string& password_file) {
  if (common.user.empty()) return Complain(Exit::kUsage, "--user is missing");
  const char* given = password_file.empty() ? std::getenv("LARIAT_PASSWORD") : nullptr;
  auto password = given != nullptr ? base::Result<std::string>(given)
                                   : ReadPassword(password_file, common.user);
  if (!password) return Complain(Exit::kUsage, password.error().message);
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  const json::object body = {{"user", common.user}, {"password", *password}};
  auto reply = Ask(*client, AccessRequest("POST", "/v1/login", json::serialize(body)));
  if (!reply) return reply.error();
  const KeptToken token{common.user, TextOf(*reply, "token"),
                        static_cast<int64_t>(NumberOf(*reply, "expires"))};
  const auto path = KeepToken(token);
  if (!path) return Complain(Exit::kFailed, path.error().message);
  if (common.json) {
    PrintLine(json::serialize(json::object{{"user", token.user}, {"expires", token.expires_ms}}));
  } else {
    Print("logged in as {}; the token is kept in {}\n", token.user, *path);
  }
  return Exit::kDone;
}

}  // namespace

net::Request AccessRequest(const char* method, const std::string& target, const std::string& body) {
  net::Request request;
  request.method = method;
  request.target = target;
  request.body = body;
  if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  return request;
}

Exit ChangeAccess(const Common& common, const net::Request& request, const std::string& done) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else {
    Print("{}\n", done);
  }
  return Exit::kDone;
}

void AddLoginCommands(CLI::App& app, Session& session) {
  CLI::App* command =
      AddCommand(app, session, "login", "Get a token, which later commands bring by themselves",
                 "  lariat login --user admin\n  lariat login --user ci --password-file secret");
  auto file = std::make_shared<std::string>();  // shared by the parser's callbacks
  command->add_option("--password-file", *file, "Its first line is the password")
      ->type_name("FILE");
  command->callback([&session, file] {
    session.needs_login = false;
    session.run = [&session, file] { return LogIn(session.common, *file); };
  });
  AddUserCommands(app, session);
  AddRoleCommands(app, session);
}

}  // namespace lariat::cli
