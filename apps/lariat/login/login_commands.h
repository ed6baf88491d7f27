// SPDX-License-Identifier: Apache-2.0
// The commands about users and roles; each file adds its own.
#pragma once

#include <string>

#include "apps/lariat/session.h"

namespace lariat::cli {

void AddUserCommands(CLI::App& app, Session& session);
void AddRoleCommands(CLI::App& app, Session& session);

// A change under /v1/admin: prints `done`, or the answer with --json.
Exit ChangeAccess(const Common& common, const net::Request& request, const std::string& done);
net::Request AccessRequest(const char* method, const std::string& target,
                           const std::string& body = "");

}  // namespace lariat::cli
