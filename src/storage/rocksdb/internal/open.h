// SPDX-License-Identifier: Apache-2.0
// For tests: opens an engine over another environment, for example one whose sync fails on demand.
#pragma once

#include <memory>

#include "storage/rocksdb/rocksdb_engine.h"

namespace rocksdb {
class Env;
}

namespace lariat::storage::internal {

// `env` outlives the engine.
base::Result<std::unique_ptr<Engine>> OpenRocksEngineIn(const RocksOptions& options,
                                                        rocksdb::Env* env);

}  // namespace lariat::storage::internal
