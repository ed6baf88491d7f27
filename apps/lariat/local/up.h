// SPDX-License-Identifier: Apache-2.0
// `lariat up` and `lariat down`.
#pragma once

#include <string>

#include "apps/lariat/local/layout.h"
#include "apps/lariat/session.h"

namespace lariat::cli::local {

// Starts a cluster; in the foreground, returns when it has been stopped.
Exit Up(const UpOptions& options);

struct DownOptions {
  std::string dir;
  double timeout_s = 30;
  bool json = false;
};
// Stops what runs in a directory; done, too, when nothing does.
Exit Down(const DownOptions& options);

}  // namespace lariat::cli::local
