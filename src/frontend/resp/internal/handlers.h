// SPDX-License-Identifier: Apache-2.0
// The handlers that commands.def names, and what several of them share (commands/*.cc).
#pragma once

#include "frontend/resp/internal/call.h"
#include "frontend/resp/internal/command.h"

namespace lariat::frontend::resp::commands {

#define LARIAT_COMMAND(name, handler, ...) void handler(Call call, Args args);
#include "frontend/resp/commands.def"
#undef LARIAT_COMMAND

}  // namespace lariat::frontend::resp::commands
