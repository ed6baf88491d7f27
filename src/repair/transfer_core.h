// SPDX-License-Identifier: Apache-2.0
// The receiving side of a topology change: fetches every stream of its plan from its source, page
// after page, until all of it is durable here. Pure: what to do comes out of Next, what happened
// goes in.
//
//   waiting --Next: ask--> asked --OnPage--> writing --OnWritten, all of them--> waiting | finished
//
// Invariants:
//  * A cursor never passes a record that is not durable: it moves when the whole page is written.
//  * A stream is finished when its last page is durable and no record before it was damaged.
//  * Nothing is given up: a source that fails is asked again, with growing pauses, for ever; there
//    is no substitute for it, because only all sources together are sure to have every write.
//  * A page comes from the very question that waits for it (ticket); any other is dropped.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "repair/progress_core.h"
#include "repair/stream.h"
#include "repair/throttle_core.h"
#include "wire/messages.h"

namespace lariat::repair {

struct TransferOptions {
  size_t parallel = 16;  // streams that ask or write at once
  uint32_t page_bytes = 256 << 10;
  size_t writes_max = 1024;  // records being written at once, of all streams
  ThrottleOptions throttle;  // of what this node receives
  base::Duration backoff_min = base::Millis(100);
  base::Duration backoff_max = base::Seconds(5);
  base::Duration damage_backoff = base::Seconds(30);  // before damaged records are asked for again
  base::Duration save_every = base::Seconds(1);
};

class TransferCore {
 public:
  using StreamIndex = uint32_t;  // in TransferPlan::streams, sorted and without repetitions

  TransferCore(TransferPlan plan, TransferOptions options, base::Instant now);

  uint64_t change() const { return plan_.change; }
  void SetOptions(const TransferOptions& options);
  // Before the first Next: a cursor of an earlier run. False: it belongs to no stream of this plan
  // or cannot be read, and may be deleted.
  bool Restore(const std::string& name, std::string_view bytes);

  struct Ask {
    StreamIndex stream = 0;
    uint64_t ticket = 0;
    uint64_t source = 0;
    wire::RangePull request;
  };
  struct Write {
    StreamIndex stream = 0;
    uint64_t ticket = 0;
    std::string key;  // as RangePage carries it
    std::string object;
  };
  struct Save {
    std::string name;
    std::string cursor;
  };
  struct Actions {
    std::vector<Ask> asks;      // each is answered by OnPage
    std::vector<Write> writes;  // each is answered by OnWritten
    std::vector<Save> saves;    // answered together by OnSaved
  };
  // What is to be done now. Call it after answers and every now and then (backoff_min).
  Actions Next(base::Instant now);
  void OnPage(StreamIndex stream, uint64_t ticket, base::Result<wire::RangePage> page,
              base::Instant now);
  // ok: durable. Exactly once for each write.
  void OnWritten(StreamIndex stream, uint64_t ticket, const base::Status& status,
                 base::Instant now);
  void OnSaved(const base::Status& status, base::Instant now);
  void OnLatency(std::optional<base::Duration> latency, base::Instant now) {
    throttle_.OnLatency(latency, now);
  }

  // Every stream is finished and that is stored: it stays so.
  bool Finished() const { return saved_finished_ == streams_.size(); }
  // In one sentence what it waits for; empty if it goes on.
  std::string Trouble() const;
  TransferProgress Progress(base::Instant now) const;

  struct Counts {  // since the start of this object
    uint64_t bytes = 0;
    uint64_t keys = 0;
    uint64_t refused = 0;  // pages that were not what was asked for
    uint64_t retries = 0;
    uint64_t running = 0;  // streams that ask or write now
  };
  const Counts& counts() const { return counts_; }

 private:
  enum class State : uint8_t { kWaiting, kAsked, kWriting, kFinished };
  struct StreamState {
    State state = State::kWaiting;
    bool dirty = false;  // the cursor differs from the stored one
    bool saved_finished = false;
    uint64_t ticket = 0;
    Cursor cursor;
    double share_done = 0;  // of the ring
    uint32_t failures = 0;  // in a row
    base::Instant not_before{};
    std::string trouble;  // of the last page
    std::string damage;   // records that could not be read at the source
    // The page being written.
    wire::RangePage page;
    size_t handed_out = 0;
    size_t in_flight = 0;
    uint64_t page_bytes = 0;  // asked for, then received
    base::Status write_status;
  };
  struct Source {
    std::deque<StreamIndex> waiting;
    size_t running = 0;  // questions on their way
    uint32_t failures = 0;
    base::Instant not_before{};
    std::string trouble;
  };

  void AddWrites(Actions* actions);
  void AddAsks(base::Instant now, Actions* actions);
  void AddSaves(base::Instant now, Actions* actions);
  Source* PickSource(base::Instant now, const std::vector<const Source*>& without);
  std::optional<StreamIndex> PickStream(Source* source, base::Instant now) const;
  Ask MakeAsk(StreamIndex index, Source* source, base::Instant now);
  void OnSourceTrouble(StreamIndex index, const std::string& trouble, base::Instant now);
  void TakePage(StreamIndex index, wire::RangePage page, base::Instant now);
  void PageWritten(StreamIndex index, base::Instant now);
  void EndOfPass(StreamIndex index, base::Instant now);
  void PauseStream(StreamIndex index, std::string trouble, base::Instant now);
  void NoteShare(StreamIndex index);
  void MarkDirty(StreamIndex index);
  base::Duration Backoff(uint32_t failures) const;
  const std::string& SourceName(StreamIndex index) const;
  Source& SourceOf(StreamIndex index) { return sources_.at(plan_.streams[index].source); }
  double Fraction() const;

  TransferPlan plan_;
  TransferOptions options_;
  Throttle throttle_;
  ProgressMeter meter_;
  std::vector<StreamState> streams_;  // as plan_.streams
  std::map<uint64_t, Source> sources_;
  std::unordered_map<std::string, StreamIndex> by_name_;  // while cursors are put back
  std::deque<StreamIndex> writing_;                       // streams with records to hand out
  std::set<StreamIndex> troubled_;
  std::vector<StreamIndex> dirty_;
  std::vector<StreamIndex> saving_;
  std::vector<bool> saving_finished_;  // what the cursors on their way say
  bool save_under_way_ = false;
  base::Instant saved_at_;
  std::string save_trouble_;
  size_t active_ = 0;  // streams that ask or write
  size_t writes_running_ = 0;
  size_t finished_ = 0;
  size_t saved_finished_ = 0;
  double share_total_ = 0;
  double share_done_ = 0;
  uint64_t keys_ = 0;  // of all runs
  uint64_t bytes_ = 0;
  uint64_t last_ticket_ = 0;
  Counts counts_;
};

// Whether the page answers the request: whole, of the bucket and range, in order, and getting
// further. kCorruption otherwise.
base::Status CheckPage(const wire::RangePull& request, const wire::RangePage& page);

}  // namespace lariat::repair
