// SPDX-License-Identifier: Apache-2.0
// The pieces of `lariat up`: what is to be done (up_plan.cc) and what is said of it (up_report.cc).
#pragma once

#include <tl/expected.hpp>

#include "apps/lariat/local/layout.h"
#include "apps/lariat/local/supervisor.h"
#include "apps/lariat/session.h"

namespace lariat::cli::local {

// up_plan.cc: from the options and what the directory holds. Says itself what is wrong. Makes the
// directory, and moves the data of nodes that left aside if they are to start anew.
tl::expected<Layout, Exit> PrepareLayout(UpOptions options);

// up_report.cc
void TellDeath(const Layout& layout, const Supervisor::Death& death);
void TellRestart(const Layout& layout, const Supervisor::Death& death);
void TellLeft(const NodePlan& node);
// The table of nodes and the next commands to type.
void ShowUp(const UpOptions& options, const Layout& layout, const ClusterFile& started,
            double seconds);

}  // namespace lariat::cli::local
