// SPDX-License-Identifier: Apache-2.0
// The stability sweep: a tombstone, an expired value or the history of overwritten ones may go when
// nothing in the cluster is left that it covers. That is proven, never taken from a clock:
//
//   1 hints      every member is asked whether it holds a hint for the keys, or old records that it
//                has yet to clean up: a cheap filter
//   2 confirm    every replica holds exactly this state, in files of its own: a log that is cut
//                later must not bring back what it replaced
//     settle     what was sent before step 2 has arrived or is lost
//   3 hints      again, of every member: late messages may have left new ones
//     settle     what was sent to deliver hints before step 3 has arrived or is lost
//   4 purge      the other replicas, then this one; each only if it still holds that state
//
// Why both pauses. Old states live in replicas, in hints, and in messages. After step 2 no replica
// has one, and so none can be read any more; one that was read or sent before is on its way for at
// most `settle`, and where it arrives then, it is joined into a state that covers it, or becomes a
// hint. So step 3 sees the last of them, and a delivery of such a hint that was sent twice is over
// one `settle` later. Without the pauses a write that was under way in step 2 could arrive after
// step 4 and find nothing that covers it.
//
// A proof that holds once holds for ever, since nothing makes an old state. So a purge that reaches
// some replicas only does no harm: anti-entropy brings the tombstone back to the others, and a
// later sweep tries again.
//
// Pure; time is an argument.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "causal/object.h"
#include "ring/diff.h"
#include "wire/repair_messages.h"

namespace lariat::repair {

// --- one record ----------------------------------------------------------------------------------

enum class SweepDecision : uint8_t {
  kNothing,  // there is nothing to remove
  kGrace,    // there will be, when its grace has passed
  kPurge,    // every stored value is a tombstone or expired, for longer than grace
  kFold,     // the history has actors without a value, and no value is younger than grace
};
struct SweepVerdict {
  SweepDecision decision = SweepDecision::kNothing;
  // Wall clock when the last of its values was deleted or expired; for kFold when the last one was
  // written. Meaningless for kNothing.
  int64_t since_ms = 0;
  bool tombstone = false;  // there is one among the values
};
SweepVerdict JudgeForSweep(const causal::Object& object, base::WallTime now, uint64_t gc_grace_s);
// What a replica confirms of the object that it holds (nothing: none), by its own clock: kSame only
// if it would have decided for this aim itself. A sweeper whose clock is ahead is stopped here.
wire::SweepState ConfirmFor(wire::SweepStep aim, const std::optional<std::string>& object,
                            const base::Hash128& digest, base::WallTime now, uint64_t gc_grace_s);
// Right for every 64-bit time: what lies in the future has not passed.
bool GracePassed(int64_t since_ms, base::WallTime now, uint64_t gc_grace_s);

// --- where to look -------------------------------------------------------------------------------

// The parts of the range that lie in leaves of the merkle grid that are set, adjacent ones joined.
// Those that come out do not go over zero.
std::vector<ring::TokenRange> PartsIn(const ring::TokenRange& range,
                                      const std::vector<bool>& leaves);

// --- the proof -----------------------------------------------------------------------------------

// Why a key stays. The numbers are those of telemetry::SweepBlock.
enum class SweepBlock : uint8_t {
  kGrace,
  kNodeAway,       // a member does not answer
  kNotEverywhere,  // a replica holds another state, or none
  kHints,          // a member holds a hint for the key
  kTopology,       // the topology changes
  kUnclean,        // a member may hold old records of keys that are not its own
  kBusy,           // a replica works on the key, or its clock says that it is too early
};
inline constexpr size_t kSweepBlocks = 7;

struct SweepTimes {
  base::Duration settle{};
  base::Duration confirms_valid = base::Seconds(3600);  // for longer they are not relied on
};

struct SweepBatchPlan {
  uint64_t self = 0;
  std::vector<uint64_t> members;   // all that hold data, by number, this node included
  std::vector<uint64_t> replicas;  // of the keys, this node included
  wire::SweepStep step = wire::SweepStep::kPurge;  // or kFold
  std::vector<wire::KeyDigest> keys;
};

// The proof for some keys with the same replicas. Whoever runs it drops it when the fence changes.
// Every question that Next gives is answered once, if only by an error.
class SweepBatch {
 public:
  // REQUIRES: this node is a member and a replica; keys are distinct.
  SweepBatch(SweepBatchPlan plan, SweepTimes times);

  using Request = std::variant<wire::HintsRequest, wire::SweepRequest>;
  struct Ask {
    uint64_t member = 0;
    uint64_t ticket = 0;
    Request request;
  };
  std::vector<Ask> Next(base::Instant now);
  // When Next has something although no answer comes; nothing if it waits for answers.
  std::optional<base::Instant> wake() const { return wake_; }
  // Answers to earlier questions, and repeated ones, are ignored.
  void OnHints(uint64_t member, uint64_t ticket, const base::Result<wire::HintsReply>& reply,
               base::Instant now);
  void OnSweep(uint64_t member, uint64_t ticket, const base::Result<wire::SweepReply>& reply,
               base::Instant now);
  bool Done() const { return stage_ == Stage::kDone; }
  // So far.
  const std::vector<wire::KeyDigest>& removed() const { return removed_; }
  const std::array<uint64_t, kSweepBlocks>& blocked() const { return blocked_; }
  // To be made equal: replicas that hold another state of a key, or none.
  struct Unequal {
    uint64_t member = 0;
    std::string key;
  };
  const std::vector<Unequal>& unequal() const { return unequal_; }
  const SweepBatchPlan& plan() const { return plan_; }

 private:
  enum class Stage : uint8_t {
    kHints,
    kConfirm,
    kSettle,
    kHintsAgain,
    kSettleAgain,
    kPurgeOthers,
    kPurgeSelf,
    kDone
  };
  void Enter(Stage stage, base::Instant now);
  wire::SweepRequest PurgeRequest() const;
  void AskFor(const Request& request, const std::vector<uint64_t>& members);
  bool Answered(uint64_t member, uint64_t ticket);
  void OnState(uint64_t member, size_t at, wire::SweepState state);
  void Block(size_t at, SweepBlock why);
  void BlockAll(SweepBlock why);
  void StageAnswered(base::Instant now);

  SweepBatchPlan plan_;
  SweepTimes times_;
  Stage stage_ = Stage::kHints;
  bool begun_ = false;
  uint64_t ticket_ = 0;         // of the present stage
  std::set<uint64_t> waiting_;  // members that have to answer in it
  std::vector<Ask> asks_;
  std::vector<wire::KeyDigest> keys_;               // left, as they were asked for in this stage
  std::vector<std::optional<SweepBlock>> trouble_;  // of each of them, in this stage
  std::optional<SweepBlock> trouble_of_all_;        // in this stage
  base::Instant confirmed_{};
  std::optional<base::Instant> wake_;
  std::vector<wire::KeyDigest> removed_;
  std::array<uint64_t, kSweepBlocks> blocked_{};
  std::vector<Unequal> unequal_;
  std::vector<wire::SweepRequest::Confirmed> confirmed_by_;  // and how far each had got
};

}  // namespace lariat::repair
