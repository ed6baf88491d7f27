// SPDX-License-Identifier: Apache-2.0
// The replicas of one read: what each was asked and said, who can be asked next, and how many hold
// what is shown. Decides nothing (get_core.h does). Pure.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "causal/object.h"
#include "coordinator/lists.h"

namespace lariat::coordinator {

// What each list has to have.
struct GetNeeds {
  uint32_t r = 1;
  uint32_t pr = 0;  // of the r, primaries: matters where fallbacks are; of the read list alone
};

struct GetOptions {
  PerList<GetNeeds> lists;
  uint32_t n = 1;
  bool strict = true;  // write back before answering
  causal::Kind kind = causal::Kind::kSiblings;
  bool sloppy = false;
  size_t fallbacks = 0;  // the last so many before those that are not in the read list

  // Of the read list.
  uint32_t r() const { return lists[0].r; }
  uint32_t pr() const { return lists[0].pr; }
};

enum class GetActionKind : uint8_t { kReadData, kReadDigest, kWriteBack, kDone, kFail };
struct GetAction {
  GetActionKind kind;
  size_t replica = 0;  // index into the preference list
  // Reads: of a fallback, whose place it takes.
  size_t stands_for = std::numeric_limits<size_t>::max();
};
using GetActions = boost::container::small_vector<GetAction, 4>;

class GetReplicas {
 public:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();
  enum class State : uint8_t { kUnasked, kAskedData, kAskedDigest, kHasDigest, kHasData, kFailed };
  enum class WriteState : uint8_t { kNone, kSent, kHolds, kFailed };
  struct Replica {
    bool usable = false;
    ListSet set = kInRead;
    State state = State::kUnasked;
    WriteState write = WriteState::kNone;
    bool found = false;
    base::Hash128 digest;
    std::string object;
    std::string idempotency_answer;
    bool fallback = false;
    size_t stands_for = kNone;  // of a fallback
    bool stood_for = false;     // a fallback was asked in its place

    bool Answered() const { return state == State::kHasData || state == State::kHasDigest; }
    bool Asked() const { return state == State::kAskedData || state == State::kAskedDigest; }
    void NoteHolds(const base::Hash128& shown) {
      if (found && digest == shown) write = WriteState::kHolds;
    }
  };

  // As in GetCore.
  GetReplicas(const GetOptions& options, const std::vector<bool>& usable,
              const std::vector<ListSet>& sets);

  size_t size() const { return all_.size(); }
  Replica& operator[](size_t i) { return all_[i]; }
  std::span<Replica> all() { return all_; }
  // The first ones are in the read list, fallbacks last.
  std::span<const Replica> readers() const { return std::span(all_).first(readers_); }
  std::span<const Replica> others() const { return std::span(all_).subspan(readers_); }
  bool IsReader(size_t i) const { return i < readers_; }
  size_t primaries() const { return readers_ - fallbacks_; }  // of the read list
  ListSet lists() const { return lists_; }                    // those that there are

  // Each notes that it asks one more, of those that can be asked, and gives false if none is left.
  // A reader, or a fallback for the next one that cannot answer itself.
  bool AskOne(State how, GetActions* actions);
  // One that is in one of the lists and not in the read list: whether it holds what that says.
  bool AskHolder(ListSet lists, GetActions* actions);
  // Fetches the data behind every digest that nobody's data explains; false if there is none.
  bool AskForData(GetActions* actions);

  // Of the read list, fallbacks included.
  size_t Count(State state) const;
  size_t Outstanding() const { return Count(State::kAskedData) + Count(State::kAskedDigest); }
  uint32_t Answered() const;
  uint32_t FallbacksAnswered() const;
  // Of a list: those that hold what is shown, and those that may turn out to.
  uint32_t Holders(size_t list) const;
  uint32_t Pending(size_t list) const;

 private:
  bool AskFallback(State how, GetActions* actions);

  std::vector<Replica> all_;
  size_t readers_;
  size_t fallbacks_;
  ListSet lists_ = kInRead;
};

// What the answers of a read come to.
struct Joined {
  explicit Joined(causal::Kind kind) : object(kind) {}
  // Joins the data of those that have some. False: somebody's is malformed.
  bool Join(std::span<const GetReplicas::Replica> replicas);

  bool found = false;
  causal::Object object;
  std::string bytes;  // it, encoded
  base::Hash128 digest;
  std::string idempotency_answer;  // of one that was joined
};

}  // namespace lariat::coordinator
