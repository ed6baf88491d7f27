// SPDX-License-Identifier: Apache-2.0
// Each function adds a few commands to the parser; the chosen one ends up in Session::run.
#pragma once

#include "apps/lariat/session.h"

namespace lariat::cli {

void AddKvCommands(CLI::App& app, Session& session);      // put, get, del, batch
void AddBucketCommands(CLI::App& app, Session& session);  // bucket create|list|show|set
void AddStatusCommand(CLI::App& app, Session& session);
void AddClusterCommands(CLI::App& app, Session& session);   // status, ring, explain
void AddChangeCommands(CLI::App& app, Session& session);    // decommission, remove, reweight, drain
void AddTopologyCommands(CLI::App& app, Session& session);  // cluster ..., tasks
void AddRepairCommands(CLI::App& app, Session& session);    // repair, repair status
void AddLocalCommands(CLI::App& app, Session& session);     // up, down
void AddListCommands(CLI::App& app, Session& session);      // scan, count
void AddCertCommands(CLI::App& app, Session& session);      // cert ca|node|client
void AddTransferCommands(CLI::App& app, Session& session);  // import, export
void AddLoginCommands(CLI::App& app, Session& session);     // login, user ..., role ...
void AddTopCommand(CLI::App& app, Session& session);
void AddDoctorCommand(CLI::App& app, Session& session);
void AddHotCommands(CLI::App& app, Session& session);  // hot, big
void AddBenchCommand(CLI::App& app, Session& session);
void AddLockCommand(CLI::App& app, Session& session);
void AddPlanCommand(CLI::App& app, Session& session);

}  // namespace lariat::cli
