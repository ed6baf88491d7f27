// SPDX-License-Identifier: Apache-2.0
// Assertions that stay on in release builds. They guard against programmer errors only: a failed
// check ends the process, so nothing that a peer, a client or a disk can cause may reach one.
#pragma once

namespace lariat::base {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const char* message);

}  // namespace lariat::base

#define LARIAT_CHECK(condition, message)                                    \
  do {                                                                      \
    if (!(condition)) [[unlikely]]                                          \
      ::lariat::base::CheckFailed(__FILE__, __LINE__, #condition, message); \
  } while (false)
