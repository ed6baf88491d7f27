// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb/internal/engine_state.h"

namespace lariat::storage::internal {

void EngineState::Die(const std::string& reason, bool of_damage) {
  const std::lock_guard lock(mutex_);
  if (reason_.empty()) {  // the first error is the cause, later ones its effects
    reason_ = reason;
    of_damage_ = of_damage;
  }
  dead_.store(true, std::memory_order_release);
}

bool EngineState::died_of_damage() const {
  const std::lock_guard lock(mutex_);
  return of_damage_;
}

base::Error EngineState::DeadError() const {
  const std::lock_guard lock(mutex_);
  return {base::Code::kIo, "the storage engine stopped after an error: " + reason_};
}

void EngineState::Damaged(const std::string& reason) {
  if (damaged_.exchange(true) || !note_damage_) return;
  note_damage_(reason);
}

void ErrorListener::OnBackgroundError(rocksdb::BackgroundErrorReason reason,
                                      rocksdb::Status* error) {
  if (error == nullptr || error->ok()) return;
  if (error->IsCorruption()) state_->Damaged(error->ToString());
  const bool writing = reason == rocksdb::BackgroundErrorReason::kWriteCallback ||
                       reason == rocksdb::BackgroundErrorReason::kMemTable;
  if (error->IsNoSpace() && !writing) {
    state_->LackSpace();
  } else {
    state_->Die(error->ToString(), error->IsCorruption() && !writing);
  }
}

void ErrorListener::OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason /*reason*/,
                                         rocksdb::Status /*error*/, bool* automatic) {
  *automatic = false;
}

base::Error FromRocks(const rocksdb::Status& status) {
  base::Code code = base::Code::kIo;
  if (status.IsNotFound()) code = base::Code::kNotFound;
  if (status.IsCorruption()) code = base::Code::kCorruption;
  if (status.IsNoSpace()) code = base::Code::kDiskFull;
  return {code, status.ToString()};
}

}  // namespace lariat::storage::internal
