// SPDX-License-Identifier: Apache-2.0
// One page of a list under way. Position by position along the bucket's order:
//
//   plan a stretch (keys with the same replicas) -> ask r of them -> bring together (merge.h)
//     -> read each key on which they do not agree, as a Get does -> go on, or answer
//
// One replica is asked for what is to be shown, the others for digests: nearly always they agree,
// and then a page of values costs its values once, and a page of keys no values at all. Where they
// differ a Get brings the replicas together, so nobody is given what a Get would not show.
//
// A replica that refuses, or is late, is joined by another one. When the topology has changed the
// stretch is planned anew from where the page is: what it has already stays as it was read.
//
// While a range moves to other nodes (lists.h) what is shown has to be held by the new owners too,
// or it might be gone when they are read; so each of its live keys is read as a Get reads it.
//
// Held alive by the callbacks it has given out; the shard's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/internal/op_context.h"
#include "coordinator/kv_service.h"
#include "coordinator/pages/merge.h"
#include "coordinator/pages/position.h"

namespace lariat::coordinator {

class PageOp : public std::enable_shared_from_this<PageOp> {
 public:
  struct Options {
    ListRequest request;
    uint32_t bucket = 0;  // its id: a new bucket of the name is another one
    Span span;            // from where the page begins, to where the list ends
    base::Instant deadline;
  };
  // A Get of one key, in whatever way its bucket is read.
  using ReadKey = std::function<void(GetRequest, GetDone)>;
  PageOp(Options options, OpContext& context, const ReadKey& read_key, ListDone done);

  void Start() { Plan(); }
  void OnHedge(uint64_t round);
  void OnTimeout();
  uint64_t round() const { return round_; }
  bool over() const { return !done_; }

 private:
  struct Source {
    ring::NodeIndex node = 0;
    bool whole = false;  // asked for what is to be shown, not for digests alone
    bool ended = false;
  };
  // A stretch being read: a new one each round, so that late answers find theirs gone.
  struct Stretch {
    std::shared_ptr<const membership::View> view;
    uint32_t needed = 0;
    std::vector<ring::NodeIndex> spare;  // not asked yet, the best one last
    bool read_each = false;              // whatever they say of it
    std::string to;
    std::vector<Source> sources;
    std::vector<wire::ScanReply> pages;
    bool has_whole = false;
    std::vector<JudgedKey> keys;
    std::string next;
  };

  void Plan();
  base::Status PlanStretch(std::shared_ptr<const membership::View> view);
  std::string EndOfStretch(const Target& target) const;
  void AskOneMore(bool whole);
  void OnPage(uint64_t round, size_t source, wire::ScanReply&& page);
  void OnFailed(base::Error why);
  void Merge();
  void ReadDisputed();
  void OnRead(size_t at, base::Result<GetReply> reply);
  void EndRound();
  void Show();
  bool InsideToken() const;
  bool IsFull() const;
  void Finish();
  void Fail(base::Error error);

  bool WholeTokens() const {
    return options_.request.from_token.has_value() && !options_.request.values;
  }
  base::Duration Left() const { return options_.deadline - context_.clock().Now(); }
  size_t KeysLeft() const;
  bool WantsObjects() const { return options_.request.values && !stretch_.read_each; }
  uint64_t ExaminedLeft() const;
  size_t BytesLeft() const;

  Options options_;
  OpContext& context_;  // may be gone when a late answer comes, which then finds nothing to do
  const ReadKey& read_key_;
  std::weak_ptr<bool> home_;
  base::Instant began_;
  ListDone done_;
  ListReply reply_;
  std::string at_;  // what stands before it was looked at
  uint64_t round_ = 0;
  uint32_t attempts_ = 0;  // to get by a stale topology
  size_t eagerness_ = 1;   // grows while there is little but tombstones
  uint64_t examined_ = 0;
  size_t bytes_ = 0;
  Stretch stretch_;
  std::vector<GetReply> read_;  // of the disputed keys of the stretch, by their index
  size_t next_read_ = 0, reads_out_ = 0;
  bool reading_ = false;
};

}  // namespace lariat::coordinator
