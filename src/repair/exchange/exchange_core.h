// SPDX-License-Identifier: Apache-2.0
// One comparison of this node's records with those of one other replica, and the exchange of what
// differs, in both directions. Pure: questions come out of Next, answers go in.
//
//   hash --spans that differ--> list --keys that differ--> pause --> mend --> list | ended
//
//   hash   both sides hash the same token spans; those that differ are cut in 16, down to a leaf
//   list   both sides list keys and digests of what differs; a key that one side lacks or holds in
//          another state is a suspect
//   pause  what was listed may have been a write on its way to both: a moment later it is there
//   mend   both sides give the suspects' objects; those that still differ are joined (mend_core.h)
//
// So the bytes sent grow with what differs: a hash or two for a range that agrees, whatever it
// holds; 17 to 81 hashes and one leaf's list for a single key.
//
// Invariants:
//  * An answer belongs to the question that waits for it (ticket) or is dropped.
//  * A question without a good answer is asked again, with growing pauses, a number of times; then
//    the comparison has failed. kStaleEpoch ends it at once.
//  * What a side does not know, or cannot read, is never taken for absent: it is left out, and the
//    comparison is not complete.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "merkle/descent.h"
#include "repair/exchange/list_core.h"
#include "repair/exchange/mend_core.h"
#include "wire/messages.h"

namespace lariat::repair {

struct ExchangePlan {
  uint32_t bucket = 0;
  uint64_t partner = 0;      // the member's number
  std::string partner_name;  // for people
  std::vector<wire::TokenSpan> ranges;
};

struct ExchangeOptions {
  size_t lists_max = 8;          // spans listed at once
  size_t suspects_max = 32768;   // keys that wait to be mended
  size_t batch_keys_max = 1024;  // mended at once
  uint32_t tries_max = 10;       // of one question
  base::Duration recheck_after = base::Millis(200);
  base::Duration backoff_min = base::Millis(100);
  base::Duration backoff_max = base::Seconds(5);
};

enum class ExchangeEnd : uint8_t {
  kRunning,
  kComplete,    // every key was compared, and what differed is the same now
  kIncomplete,  // all that could be compared was
  kStale,       // the partner works by another topology
  kFailed,      // the partner, or this node's disk, gave no answer
};

struct ExchangeFigures {
  uint64_t hashes_compared = 0;
  uint64_t keys_listed = 0;    // of both sides
  uint64_t keys_received = 0;  // records of this node that changed
  uint64_t keys_sent = 0;
  uint64_t keys_damaged = 0;  // that could not be read or joined
  uint64_t spans_unknown = 0;
};

class ExchangeCore {
 public:
  ExchangeCore(ExchangePlan plan, ExchangeOptions options);

  struct Ask {
    uint64_t ticket = 0;
    Side side = Side::kOurs;
    wire::Body request;
  };
  // What is to be asked now. Call it after answers, and every now and then (backoff_min).
  std::vector<Ask> Next(base::Instant now);
  // An error: no answer, and why. Exactly one for each question.
  void OnReply(uint64_t ticket, base::Result<wire::Body> reply, base::Instant now);

  const ExchangePlan& plan() const { return plan_; }
  ExchangeEnd end() const { return end_; }
  const std::string& why() const { return why_; }  // it is not complete; what it waits for
  ExchangeFigures figures() const;
  double Fraction() const;  // of the token space, 0 to 1
  // Keys whose objects may be on their way to a replica.
  std::vector<std::string> KeysInHand() const {
    return mend_ ? mend_->keys() : std::vector<std::string>();
  }

 private:
  enum class Phase : uint8_t { kHash, kList, kPause, kMend };
  struct Question {
    uint64_t owner = 0;  // a list, or kHashRound or kMending
    Side side = Side::kOurs;
    wire::Body request;
    bool sent = false;
    uint32_t tries = 0;
    base::Instant not_before{};
  };

  void Advance(base::Instant now);
  void AdvanceHash();
  void AdvanceLists(base::Instant now);
  void AdvanceMend(base::Instant now);
  void AddQuestion(uint64_t owner, Side side, wire::Body request);
  void DropQuestions(uint64_t owner);
  void OnTrouble(Question question, uint64_t ticket, const base::Error& error, base::Instant now);
  void OnBody(const Question& question, wire::Body body, base::Instant now);
  base::Status OnHashes(Side side, wire::TreeReply reply);
  void OnList(uint64_t id, Side side, wire::LeafReply reply);
  void OnMend(Side side, wire::Body body);
  bool MostAreUnknown() const;
  void BeginLists();
  void BeginBatch();
  void SplitBatch(const std::string& why);
  void EndLists();
  void End(ExchangeEnd end, std::string why);

  ExchangePlan plan_;
  ExchangeOptions options_;
  Phase phase_ = Phase::kHash;
  ExchangeEnd end_ = ExchangeEnd::kRunning;
  std::string why_;
  std::map<uint64_t, Question> questions_;  // by ticket
  uint64_t last_ticket_ = 0;

  merkle::Descent descent_;
  std::optional<std::vector<merkle::SpanHash>> our_hashes_, their_hashes_;
  size_t spans_asked_ = 0;

  std::deque<wire::TokenSpan> spans_;  // still to be listed
  std::map<uint64_t, ListCore> lists_;
  uint64_t last_list_ = 1;
  double share_total_ = 0;  // of what is listed
  double share_done_ = 0;
  std::vector<std::string> suspects_;
  base::Instant pause_until_{};
  bool paused_ = false;  // pause_until_ is set

  std::optional<MendCore> mend_;
  size_t batch_keys_;   // halved by a record that cannot be mended
  std::string damage_;  // the first one, in words
  ExchangeFigures figures_;
};

}  // namespace lariat::repair
