// SPDX-License-Identifier: Apache-2.0
// One version of a key: its record, or that there is none. A single block of memory, immutable but
// for what is cached beside the bytes, and counted by those who hold it, so that a reply, a flush
// or a merge with the files goes on reading what the table has replaced meanwhile.
//
//   [references 4][key size 4][value size 4][flags 3][LSN 8][digest 16] [key][value]
//
// Threads: VersionRefs of one version may be held, copied and dropped on several threads, and each
// may read key, bytes, absent and lsn. The digest belongs to the table's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/hash.h"
#include "storage/table/charge.h"

namespace lariat::storage::table {

class VersionRef;

class Version {
 public:
  // One copy of the bytes. REQUIRES: key and bytes have less than 4 GiB each.
  static VersionRef Record(std::string_view key, std::string_view bytes, uint64_t lsn = 0);
  static VersionRef Absent(std::string_view key, uint64_t lsn = 0);
  // What a version of so many bytes of key and value takes of a budget.
  static size_t ChargeOf(size_t key_and_value) { return Charge(sizeof(Version) + key_and_value); }

  std::string_view key() const { return {data(), key_size_}; }
  std::string_view bytes() const { return {data() + key_size_, value_size_}; }  // absent: none
  bool absent() const { return absent_; }
  uint64_t lsn() const { return lsn_; }  // of the write that made it; 0: it was read from the files
  // Whether a crash leaves it, if the log is synced up to `log_lsn`.
  bool DurableAt(uint64_t log_lsn) const { return lsn_ <= log_lsn; }
  size_t charge() const { return ChargeOf(size_t{key_size_} + value_size_); }

  // A digest of the bytes that somebody has computed before, or null.
  const base::Hash128* digest() const { return has_digest_ ? &digest_ : nullptr; }
  void SetDigest(const base::Hash128& digest) const { digest_ = digest, has_digest_ = true; }

 private:
  friend class VersionRef;
  friend class Table;
  static VersionRef Make(std::string_view key, std::string_view bytes, bool absent, uint64_t lsn);
  Version(std::string_view key, std::string_view bytes, bool absent, uint64_t lsn);
  void Acquire() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void Release() const {
    // Who holds the only reference needs no locked instruction.
    if (references_.load(std::memory_order_acquire) == 1 ||
        references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      Free();
    }
  }
  void Free() const;
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }

  mutable std::atomic<uint32_t> references_{1};
  const uint32_t key_size_;
  const uint32_t value_size_;
  const bool absent_;
  mutable bool used_ = false;  // since the table's hand has passed
  mutable bool has_digest_ = false;
  const uint64_t lsn_;
  mutable base::Hash128 digest_;
};

// One reference to a version, or none.
class VersionRef {
 public:
  VersionRef() = default;
  explicit VersionRef(const Version* version) : version_(version) {
    if (version_ != nullptr) version_->Acquire();
  }
  VersionRef(const VersionRef& other) : VersionRef(other.version_) {}
  VersionRef(VersionRef&& other) noexcept : version_(std::exchange(other.version_, nullptr)) {}
  VersionRef& operator=(VersionRef other) noexcept {
    std::swap(version_, other.version_);
    return *this;
  }
  ~VersionRef() {
    if (version_ != nullptr) version_->Release();
  }

  explicit operator bool() const { return version_ != nullptr; }
  const Version* get() const { return version_; }
  const Version& operator*() const { return *version_; }
  const Version* operator->() const { return version_; }

 private:
  friend class Version;
  const Version* version_ = nullptr;
};

}  // namespace lariat::storage::table
