// SPDX-License-Identifier: Apache-2.0
// What a comparison is told of this node's records, whether a partner asks or this node itself:
// hashes of token spans from the trees of all shards, lists of keys with their digests, objects.
// What is not held is refused (kConflict), and so is what comes while too much waits (kOverloaded).
//
// A record that cannot be read is never taken for absent: a list that has one says kCorruption and
// carries the others; objects are refused with the error of the first one; the hash of a cut leaf
// is unknown.
//
// Threads: one shard's thread. Any shard of the node gives the same answers.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_function.h"
#include "env/env.h"
#include "repair/exchange/ranges.h"
#include "repair/throttle_core.h"
#include "replica/range_reader.h"
#include "replica/tree/upkeep.h"
#include "telemetry/metrics.h"
#include "wire/messages.h"

namespace lariat::repair {

class SourcePort {
 public:
  virtual ~SourcePort() = default;
  // The leaves first..last, the parts of all shards added up; empty if all of them are known and
  // hold nothing.
  using LeavesDone = base::UniqueFunction<void(std::vector<replica::LeafPart>)>;
  virtual void Leaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) = 0;
  // Of the bucket's hash tree, over all shards.
  struct TreeState {
    uint64_t version = 0;  // another one after any change
    bool empty = true;     // all leaves are known and hold nothing
  };
  using TreeStateDone = base::UniqueFunction<void(TreeState)>;
  virtual void StateOf(uint32_t bucket, TreeStateDone done) = 0;
  // The present durable objects of these keys, in order; nothing for those that are not there.
  using Objects = std::vector<base::Result<std::optional<std::string>>>;
  using ObjectsDone = base::UniqueFunction<void(Objects)>;
  virtual void Read(std::vector<std::string> data_keys, ObjectsDone done) = 0;
};

class Source {
 public:
  struct Options {
    size_t serving_max = 4;   // requests of others at once
    size_t waiting_max = 64;  // that wait for their turn or for the throttle
    size_t page_bytes = 1 << 20;
    size_t reads_max = 64;            // objects read at once, fewer where they are large
    uint32_t leaves_max = 4096;       // asked of the shards at once
    size_t remembered_max = 1 << 18;  // hashes that were given, over all questions
  };
  // Reading and answering is taken out of the throttle, which others may share.
  Source(env::Env env, SourcePort& port, replica::RangeReader& reader, Throttle& throttle,
         telemetry::Metrics& metrics);
  ~Source();

  void SetHeld(HeldRanges held);
  void SetOptions(Options options) { options_ = options; }

  using Done = base::UniqueFunction<void(wire::Body)>;
  // TreeRequest, LeafRequest or FetchRequest. From a partner: waits for its turn.
  void Serve(wire::Body request, Done done);
  // From this node's own comparison, which has waited already.
  void Answer(wire::Body request, Done done);

 private:
  struct Hashing;
  struct Fetching;
  struct Turn {
    wire::Body request;
    Done done;
  };

  void Pump();
  void OnServed(wire::Body reply, Done done);
  void Hash(wire::TreeRequest request, Done done);
  void HashUnlessKnown(std::shared_ptr<Hashing> work, const SourcePort::TreeState& tree);
  void Remember(const Hashing& work);
  void HashNext(std::shared_ptr<Hashing> work);
  void HashWhole(std::shared_ptr<Hashing> work);
  void ReadCutLeaf(std::shared_ptr<Hashing> work, std::string after);
  void List(wire::LeafRequest request, Done done);
  void Fetch(wire::FetchRequest request, Done done);
  void FetchNext(std::shared_ptr<Fetching> work);
  void AdaptReads(const SourcePort::Objects& objects);
  base::Status CheckHeld(uint32_t bucket, const wire::TokenSpan& span) const;
  base::Status CheckKeys(const std::vector<std::string>& keys) const;
  void Charge(uint64_t bytes);
  template <typename Use>
  auto WhileAlive(Use use);

  env::Env env_;
  SourcePort& port_;
  replica::RangeReader& reader_;
  Throttle& throttle_;
  telemetry::Metrics& metrics_;
  Options options_;
  HeldRanges held_;
  std::deque<Turn> waiting_;
  // What the same question was answered with, as long as no record of the bucket has changed: then
  // nothing is counted or read again. By bucket and the digest of the spans.
  struct Known {
    uint64_t version = 0;
    wire::TreeReply reply;
  };
  std::map<std::pair<uint32_t, base::Hash128>, Known> known_;
  size_t remembered_ = 0;  // hashes in it
  size_t serving_ = 0;
  size_t reads_ = 1;
  env::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_;  // watched by callbacks
};

}  // namespace lariat::repair
