// SPDX-License-Identifier: Apache-2.0
// Makes a batch of keys equal on two sides. Pure. Both sides are asked for the present objects
// (what was listed may have been a write under way, which has arrived meanwhile); those that still
// differ are joined into ours, and what the partner lacks after that is pushed to it. Doing it
// twice, or half, harms nothing.
//
//   compare (both fetched) -> join (pushed to ours) -> reread (ours) -> send (pushed to theirs)
//
// What the partner alone has is not read again after it was joined, and what we alone have is sent
// as it is.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "repair/exchange/list_core.h"
#include "wire/messages.h"

namespace lariat::repair {

class MendCore {
 public:
  // REQUIRES: the keys ascend, and there is one.
  explicit MendCore(std::vector<std::string> keys);

  using Request = std::pair<Side, wire::Body>;
  // What is to be asked now; each is given out once and answered by OnReply.
  std::vector<Request> TakeRequests();
  base::Status OnReply(Side side, wire::Body reply);
  bool Finished() const { return step_ == Step::kFinished; }

  const std::vector<std::string>& keys() const { return keys_; }
  // Those that neither side could answer for in one message: still to be mended.
  std::vector<std::string> TakeRest() { return std::exchange(rest_, {}); }
  uint64_t received() const { return received_; }  // records of ours that changed
  uint64_t sent() const { return sent_; }          // records pushed and taken

 private:
  enum class Step : uint8_t { kCompare, kJoin, kReread, kSend, kFinished };
  using Objects = std::map<std::string, std::string>;

  base::Status TakeFetched(Side side, wire::FetchReply reply);
  base::Status TakeReread(wire::FetchReply reply);
  void Compare();
  void AfterJoin();
  void Send();
  void AskReread();
  // Cuts into messages of bearable size.
  static std::deque<wire::RecordPush> Cut(Objects objects);
  void PushNext(Side side, std::deque<wire::RecordPush>* pushes);

  std::vector<std::string> keys_;
  std::vector<std::string> rest_;
  Step step_ = Step::kCompare;
  std::vector<Request> requests_;
  std::optional<Objects> ours_, theirs_;
  size_t covered_;  // keys that both have answered for
  std::deque<wire::RecordPush> joins_, sends_;
  std::map<std::string, base::Hash128> joined_;  // those that both have: what ours was before
  std::vector<std::string> reread_;              // of them, still to be asked for
  Objects to_send_;
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
  size_t pushed_now_ = 0;  // records in the push on its way
};

}  // namespace lariat::repair
