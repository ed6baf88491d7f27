// SPDX-License-Identifier: Apache-2.0
// A second reading of the same formats, for `import --verify`: what is compared with the store must
// not come from the code that wrote it, or a fault of that code would be found in order. Nothing of
// the readers of import is used here, not even their lines or their JSON parser: bytes are taken
// one by one, and what a record is follows from docs/cli.md alone. Slower, and with memory that is
// bounded as there. A test compares the two on random files.
#pragma once

#include "apps/lariat/transfer/read/record.h"

namespace lariat::cli::transfer {

// The file's format, key and value as OpenReader takes them.
base::Result<std::unique_ptr<RecordReader>> OpenSecondReader(const ReaderOptions& options);

}  // namespace lariat::cli::transfer
