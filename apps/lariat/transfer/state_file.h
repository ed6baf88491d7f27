// SPDX-License-Identifier: Apache-2.0
// The state files of `lariat import --resume` and `lariat export --resume`: how far one came. JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lariat::cli::transfer {

struct ImportState {
  std::string file;
  std::string bucket;
  uint64_t size = 0;     // of the file; 0 if it was no plain file
  uint64_t offset = 0;   // every record before it is stored
  uint64_t records = 0;  // so many
  bool operator==(const ImportState&) const = default;
};

std::string RenderState(const ImportState& state);
base::Result<ImportState> ParseState(std::string_view text);

// Nothing if there is no such file.
base::Result<std::optional<ImportState>> LoadState(const std::string& path);
base::Status SaveState(const std::string& path, const ImportState& state);

// Why `saved` is not the state of an import of `now`; empty text if it is.
std::string Mismatch(const ImportState& saved, const ImportState& now);

// Of an export of a whole bucket.
struct ExportState {
  std::string bucket;
  std::string cursor;  // where the walk goes on; empty: at its start
  uint64_t bytes = 0;  // of the output, of all before the cursor
  uint64_t records = 0;
  bool done = false;
  bool operator==(const ExportState&) const = default;
};
base::Result<std::optional<ExportState>> LoadExportState(const std::string& path);
base::Status SaveExportState(const std::string& path, const ExportState& state);

}  // namespace lariat::cli::transfer
