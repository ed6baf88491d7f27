// SPDX-License-Identifier: Apache-2.0
#include "storage/log_engine/log_engine.h"

#include <gtest/gtest.h>

#include "storage/engine_contract.h"
#include "storage/log_engine/internal/test_world.h"
#include "storage/rocksdb/engine_test_util.h"

namespace lariat::storage {

// Of this program's tests.
base::Result<std::unique_ptr<Engine>> internal::OpenUnderTest(const RocksOptions& options,
                                                              rocksdb::Env* env,
                                                              DiskFaults* faults) {
  log_engine::World world = log_engine::TestWorld(faults);
  world.env = env;
  return log_engine::OpenLogEngineIn(log_engine::SmallEngine(options), world);
}

namespace {

using internal::SharedQueue;
using internal::SmallOptions;
using internal::TempDirectory;
using log_engine::SmallEngine;
using log_engine::TestClock;

class LogSubject final : public contract::Subject {
 public:
  explicit LogSubject(size_t table_bytes) : table_bytes_(table_bytes) { Open(); }
  Engine* engine() override { return engine_.get(); }
  contract::TestQueue* queue() override { return &queue_; }
  void Restart() override {
    engine_.reset();
    Open();
  }

 private:
  void Open() {
    LogEngineOptions options = SmallEngine(SmallOptions(directory_.path()));
    options.table_bytes = table_bytes_;
    engine_ = OpenEngine(EngineKind::kLog, options, TestClock()).value();
  }

  const size_t table_bytes_;
  TempDirectory directory_;
  SharedQueue queue_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

namespace contract {
INSTANTIATE_TEST_SUITE_P(Log, EngineContract,
                         testing::Values(SubjectMaker{
                             "log", [] { return std::make_unique<LogSubject>(16 << 20); }}),
                         SubjectName);
}  // namespace contract

}  // namespace lariat::storage
