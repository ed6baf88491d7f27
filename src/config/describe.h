// SPDX-License-Identifier: Apache-2.0
// The settings in words: `--print-config`, the sample file and the settings page. All three are
// generated from the table, so they cannot fall behind it.
#pragma once

#include <string>

#include "config/parser.h"

namespace lariat::config {

// Every key with its value, and as comments its meaning, unit, bounds, default and origin. The text
// is TOML that, loaded again, gives the same settings.
std::string PrintConfig(const SettingsBuilder& builder);

// docs/lariat.toml.sample: every key at its default, commented out.
std::string SampleToml();

// docs/settings.md.
std::string SettingsMarkdown();

}  // namespace lariat::config
