// SPDX-License-Identifier: Apache-2.0
// The newest versions of one shard's records in memory, between the log and the files: what was
// written and is not in the files yet, and, in the same budget of bytes, what is in the files and
// was used of late. It answers "present", "absent" or "look into the files", and never the last
// when the files are behind.
//
//   Put ... Put | BeginFlush .. NextToFlush .. EndFlush | evicted by the hand
//     unflushed |              pinned                   | clean           Fill -> clean
//
// The state is not stored: the LSN of the write says it, compared with how far the files have come
// and how far the flush under way will bring them. So the end of a flush makes a million records
// clean in one step. While one runs, what it has pinned and a write replaces is kept beside the
// table until it ends, and the flush sees exactly what was there when it began.
//
// Clean versions leave by a clock with a second chance (Corbato, A paging experiment with the
// Multics system, 1969), never others. So the bytes stay below the budget, plus one record, as long
// as what is not clean, with the index, does; HasRoom says when a writer has to wait for a flush.
//
// Order: that of the keys' bytes. Cost (README.md): some 70 bytes an entry besides key and value,
// and up to a quarter for the allocator, all of it counted; a hit allocates nothing.
//
// Threads: the shard's. VersionRefs may go elsewhere (version.h). Errors: none but what Fail
// brings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/table/internal/index.h"
#include "storage/table/version.h"

namespace lariat::storage::table {

struct TableOptions {
  TokenSlice slice;                   // of the shard; other tokens work, if they are few
  size_t budget_bytes = 64 << 20;     // of everything
  size_t unflushed_bytes = 32 << 20;  // of what is not clean, for HasRoom; below the budget
};

struct TableStats {
  size_t entries = 0;
  size_t bytes = 0;            // of everything; what only VersionRefs hold is not the table's
  size_t index_bytes = 0;      // leaves and directories, in `bytes`
  size_t absent_bytes = 0;     // versions that say "absent", in `bytes`
  size_t unflushed_bytes = 0;  // not clean, pinned ones included, in `bytes`
  size_t replaced_bytes = 0;   // of those, what is kept for the running flush alone
  uint64_t evicted = 0;        // since the start
};

enum class Known : uint8_t {
  kRecord,
  kAbsent,   // for sure: removed and perhaps not flushed yet, or the files were asked before
  kUnknown,  // the files have the newest version, if there is one
  kLost,     // its last write never happened (Fail), and nobody knows what was before: an error
};

// A key that was kUnknown and the moment in which that was said: the files had its newest version.
// So whatever is written to it from then on is known to be newer than what a read of the files
// that begins now may bring. A key that is known has no token: the files may be behind.
class ReadToken {
 private:
  friend class Table;
  uint64_t key_hash_ = 0;
  uint64_t writes_ = 0;
};

struct Found {
  Known known = Known::kUnknown;
  // Of kRecord and kAbsent, otherwise null. Valid until the next call that is not const, and
  // through a VersionRef for as long as that is held.
  const Version* version = nullptr;
  ReadToken token;  // of kUnknown: for Fill
};

class Table {
 public:
  explicit Table(const TableOptions& options);

  // --- reading. A hit gives the version its second chance.
  Found Find(std::string_view key);
  // Keeps what the files said when they were read after Find gave the token.
  // REQUIRES: the token's key, and an LSN of 0. Nothing happens, and the answer is false, if the
  // key was written since then (or, rarely, another beside it), if it is known already, if there
  // is no room, or if "absent" already has its eighth of the budget.
  bool Fill(VersionRef version, ReadToken token);

  // --- writing. What is written is unflushed, and is seen at once.
  // LSNs never fall, and stay above those of a flush that has begun. A batch may share one.
  void Put(std::string_view key, std::string_view bytes, uint64_t lsn);
  void Remove(std::string_view key, uint64_t lsn);
  // Whether a batch may be written without more than `unflushed_bytes`; rather no than yes. Ask
  // before the log has it: Put does not refuse.
  struct Batch {
    size_t writes = 1;
    size_t bytes = 0;  // of all keys and values
  };
  bool HasRoom(const Batch& batch) const;
  // The log could not keep what is above the LSN, and never will: keys whose last write is there,
  // and not in the files, are kLost, all others stay as they are. Nothing is written and no flush
  // begins after that; one that reaches above the LSN ends as one that failed.
  void Fail(uint64_t durable_lsn);

  // --- ranges, to be merged with the files.
  enum class Which : uint8_t { kUnflushed, kAll };  // the files lack only the former
  struct Limits {
    size_t slots_max = 1000;     // looked at, so that the thread is not held long; 1 at least
    size_t bytes_max = 1 << 20;  // of the records given; exceeded by the last one
  };
  struct Part {
    std::vector<VersionRef> versions;  // in order, "absent" included
    // The part is complete for from <= key < *next; nothing: for from <= key < to. Changes between
    // two calls do no harm: each sees the table as it is.
    std::optional<std::string> next;
    bool lost = false;  // something in it is kLost, which `versions` lacks
  };
  // From `from` to below `to` ("": to the end).
  Part Scan(std::string_view from, std::string_view to, Which which, const Limits& limits) const;

  // --- flushing, one at a time.
  // Pins what is unflushed. Every write so far is at or below `upto`, every later one above: the
  // end of the log, which has to be synced up to there before the files replace it.
  // REQUIRES: no flush is under way, and nothing has failed.
  void BeginFlush(uint64_t upto);
  // Appends what follows in the order of keys, having looked at up to `slots_max` entries, perhaps
  // none of them pinned. False: that was all.
  bool NextToFlush(size_t slots_max, std::vector<VersionRef>* out);
  // ok: the files have all of it, durably (REQUIRES: NextToFlush has said false). What was not
  // replaced meanwhile is clean; without ok it is unflushed again.
  void EndFlush(bool ok);
  bool flushing() const { return flushing_; }

  // Applies at once: a smaller budget frees memory before this returns.
  void SetBudget(size_t budget_bytes, size_t unflushed_bytes);
  TableStats Stats() const;
  const Index& index() const { return index_; }  // for tests

 private:
  bool IsClean(const Version& version) const { return version.lsn() <= files_lsn_; }
  bool IsLost(const Version& version) const { return version.lsn() > kept_lsn_; }
  size_t Unflushed() const { return fresh_bytes_ + pinned_bytes_ + replaced_bytes_; }
  size_t Bytes() const { return index_.bytes() + version_bytes_ + replaced_bytes_; }
  void Write(VersionRef version);
  void Replace(VersionRef& held, VersionRef version);
  void Count(const Version& version);
  void EvictToBudget();
  void EvictFrom(Leaf* leaf);
  template <typename Use>
  std::optional<std::string> Walk(std::string_view from, std::string_view to, Which which,
                                  size_t slots_max, Use use) const;

  Index index_;
  size_t budget_bytes_;
  size_t unflushed_max_;

  size_t version_bytes_ = 0;   // of the newest versions, of which
  size_t absent_bytes_ = 0;    //   say "absent"
  size_t fresh_bytes_ = 0;     //   are neither clean nor pinned
  size_t pinned_bytes_ = 0;    //   are pinned
  size_t replaced_bytes_ = 0;  // of `replaced_`
  uint64_t evicted_ = 0;

  uint64_t writes_ = 0;                        // how many, ever
  uint64_t last_lsn_ = 0;                      // of a write
  uint64_t files_lsn_ = 0, files_writes_ = 0;  // what the files have; as of the flush's begin
  uint64_t flush_lsn_ = 0, flush_writes_ = 0;  // what they will have; the same while none runs
  uint64_t kept_lsn_ = UINT64_MAX;             // below: Fail
  bool flushing_ = false;
  std::optional<std::string> flush_next_;
  std::unordered_map<std::string_view, VersionRef> replaced_;  // by their own keys
};

}  // namespace lariat::storage::table
