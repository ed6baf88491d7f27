// SPDX-License-Identifier: Apache-2.0
#include "healing/scrubber.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/gather.h"
#include "causal/object.h"
#include "merkle/grid.h"
#include "peers/reply.h"
#include "repair/stream.h"

namespace lariat::healing {

using base::Code;
using base::Fail;
using repair::RefillAnswer;
using repair::ScrubbedLeaf;

namespace {

constexpr base::Duration kRefillTimeout = base::Seconds(10);

std::string CauseOf(const std::string& record) {
  const auto parsed = storage::ParseRecord(record);
  if (!parsed) return parsed.error().message;
  const auto object = causal::Object::Decode(parsed->object);
  return object ? "" : object.error().message;
}

// What the node holds of the key, by its answer to a FetchRequest for it alone.
base::Result<std::optional<std::string>> ObjectIn(base::Result<wire::Body> body,
                                                  const std::string& data_key) {
  auto reply = peers::ReplyIn<wire::FetchReply>(std::move(body));
  if (!reply) return Fail(reply.error());
  if (!reply->outcome.ok()) return Fail(reply->outcome.ToError());
  for (wire::FetchReply::Entry& entry : reply->entries) {
    if (entry.key == data_key) return std::optional(std::move(entry.object));
  }
  if (!reply->complete) return Fail(Code::kInternal, "a peer left out what it was asked for");
  return std::optional<std::string>();
}

std::string Printable(std::string_view key) {
  std::string text;
  for (const char c : key.substr(0, 256)) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

}  // namespace

Scrubber::Scrubber(Shards& shards, peers::Home& home, storage::Engine& engine,
                   telemetry::LogSink& log)
    : shards_(shards),
      home_(home),
      reader_(engine, home.queue(), home.metrics()),
      meta_(engine, home.queue()),
      scrub_(home.env(), *this, meta_, home.metrics(), log) {
  ApplySettings(home.settings());
}

void Scrubber::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  scrub_.Retry();
}

void Scrubber::ApplySettings(const config::Settings& settings) {
  scrub_.SetRate(static_cast<uint64_t>(settings.repair_scrub_bytes_per_s));
  scrub_.SetPause(base::Seconds(settings.repair_scrub_pause_s));
}

void Scrubber::FillStatus(coordinator::ScrubStatus* status) const {
  repair::ScrubStatus now = scrub_.Status();
  status->fraction = now.fraction;
  status->last_ms = now.last_ms;
  status->damaged = now.damaged;
  status->refilled = now.refilled;
  status->trouble = std::move(now.trouble);
}

// --- reading -----------------------------------------------------------------------------------

template <typename Ask, typename Use, typename Done>
void Scrubber::OnEachShard(Ask ask, Use use, Done done) {
  const base::Gather<Use> gather(std::move(use),
                                 [done = std::move(done)](const Use&) mutable { done(); });
  gather.Expect(shards_.count());
  for (uint32_t i = 0; i < shards_.count(); ++i) {
    LocalShard& shard = shards_.shard(i);
    shard.Post([&shard, &home = home_, ask, gather] {
      ask(shard.replica(), [&home, gather](auto answer) {
        home.Post([gather, answer = std::move(answer)]() mutable {
          (*gather)(std::move(answer));
          gather.Arrive();
        });
      });
    });
  }
  gather.Arrive();
}

void Scrubber::FindBuckets(BucketsDone done) {
  // A pass over what is known so far would count as a whole one.
  if (!view_) return done(Fail(Code::kUnavailable, "this node is not in a cluster yet"));
  auto found = std::make_shared<std::set<uint32_t>>();  // co-owned by the callbacks below
  for (const auto& [name, bucket] : view_->topology.buckets) found->insert(bucket.id);
  OnEachShard([](replica::Replica& replica, auto answer) { answer(replica.Buckets()); },
              [found](const std::vector<storage::BucketId>& buckets) {
                found->insert(buckets.begin(), buckets.end());
              },
              [found, done = std::move(done)]() mutable {
                done(std::vector<uint32_t>(found->begin(), found->end()));
              });
}

struct Scrubber::Leaves {
  uint32_t bucket, first;
  std::vector<bool> worth;
  LeavesDone done;
};

void Scrubber::FindLeaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) {
  if (first == 0) gap_ = {};               // another pass
  auto leaves = std::make_shared<Leaves>(  // co-owned likewise
      Leaves{bucket, first, std::vector<bool>(last - first + 1), std::move(done)});
  OnEachShard(
      [bucket, first, last](replica::Replica& replica, auto answer) {
        answer(replica.tree().LeavesIfAny(bucket, first, last));
      },
      [leaves](const std::vector<replica::LeafPart>& parts) {
        for (size_t i = 0; i < parts.size(); ++i) {
          if (!parts[i].known || parts[i].sum.keys > 0) leaves->worth[i] = true;
        }
      },
      [this, leaves] { LookIntoEmpty(leaves, 0); });
}

// A record that was damaged already when its leaf was counted is not in the sum.
void Scrubber::LookIntoEmpty(std::shared_ptr<Leaves> leaves, uint32_t from) {
  const auto begin = leaves->worth.begin();
  const auto at = std::find(begin + from, leaves->worth.end(), false);
  if (at == leaves->worth.end()) return leaves->done(std::move(leaves->worth));
  const auto run = static_cast<uint32_t>(at - begin);
  const auto end = static_cast<uint32_t>(std::find(at, leaves->worth.end(), true) - begin);
  const uint32_t first = leaves->first + run;
  const uint32_t last = leaves->first + end - 1;
  if (gap_.bucket == leaves->bucket && gap_.first <= first && last <= gap_.last) {
    return LookIntoEmpty(std::move(leaves), end);
  }
  // To the end of the bucket: then one look is enough for one without records.
  LookForRecord(leaves->bucket, first, merkle::kLeaves - 1,
                [this, leaves, run, end, first, last](base::Result<uint32_t> found) {
                  if (found) return OnGap(leaves, run, end, *found);
                  LookForRecord(leaves->bucket, first, last,  // what is damaged may lie behind it
                                [this, leaves, run, end](base::Result<uint32_t> near) {
                                  OnGap(leaves, run, end, near.value_or(leaves->first + run));
                                });
                });
}

// Gives the leaf of the first record in these, or kLeaves.
void Scrubber::LookForRecord(uint32_t bucket, uint32_t first, uint32_t last, FoundDone done) {
  const auto span = merkle::SpanOfLeaves(first, last);
  reader_.Next({bucket, {{span.from}, {span.to}}}, "", {.entries_max = 1, .keys_only = true},
               [done = std::move(done)](const base::Result<replica::RecordPage>& page) mutable {
                 if (!page) return done(Fail(page.error()));
                 if (page->records.empty()) return done(merkle::kLeaves);
                 done(merkle::LeafOf(repair::ParseRecordKey(page->records[0].key)->token.value));
               });
}

// `found`: a leaf to be read, since it holds a record or cannot be looked into; before it is none.
void Scrubber::OnGap(std::shared_ptr<Leaves> leaves, uint32_t run, uint32_t end, uint32_t found) {
  if (found > leaves->first + run) gap_ = {leaves->bucket, leaves->first + run, found - 1};
  if (found >= leaves->first + end) return LookIntoEmpty(std::move(leaves), end);
  leaves->worth[found - leaves->first] = true;
  LookIntoEmpty(std::move(leaves), found - leaves->first + 1);
}

void Scrubber::Check(uint32_t bucket, uint32_t leaf, CheckDone done) {
  auto all = std::make_shared<base::Result<ScrubbedLeaf>>();  // co-owned likewise
  OnEachShard(
      [bucket, leaf](replica::Replica& replica, auto answer) {
        replica.CheckLeaf(bucket, leaf, [answer](base::Result<replica::LeafCheck> check) mutable {
          answer(std::move(check));
        });
      },
      [all](base::Result<replica::LeafCheck> check) {
        if (!check) *all = Fail(std::move(check.error()));
        if (!*all || !check) return;
        (*all)->bytes += check->bytes;
        for (replica::DamagedRecord& record : check->damaged) {
          std::string cause = CauseOf(record.bytes);
          (*all)->damaged.push_back(
              {std::move(record.data_key), std::move(record.bytes), std::move(cause)});
        }
      },
      [all, done = std::move(done)]() mutable { done(std::move(*all)); });
}

// --- refilling ---------------------------------------------------------------------------------

base::Result<std::vector<ring::NodeIndex>> Scrubber::OthersOf(const std::string& data_key) const {
  const auto key = repair::ParseRecordKey(data_key);
  if (!key) return Fail(Code::kCorruption, "the key itself is damaged");
  if (!view_) return Fail(Code::kUnavailable, "this node is not in a cluster");
  const membership::BucketProperties* bucket = view_->FindBucket(key->bucket);
  if (bucket == nullptr) return Fail(Code::kUnavailable, "its bucket is not known");
  const auto lists = view_->ReplicasOf(key->token, *bucket);
  std::set<ring::NodeIndex> all(lists.read.begin(), lists.read.end());
  all.insert(lists.other.begin(), lists.other.end());
  if (all.erase(view_->self) == 0) {
    return Fail(Code::kUnavailable, "this node is no replica of it any more");
  }
  return std::vector<ring::NodeIndex>(all.begin(), all.end());
}

void Scrubber::AskOthers(std::string data_key, AnswersDone done) {
  const auto others = OthersOf(data_key);
  if (!others) return done(Fail(others.error()));
  const base::Gather<std::vector<RefillAnswer>> gather({}, std::move(done));
  gather.Expect(others->size());
  for (const ring::NodeIndex node : *others) {
    const membership::Member& member = view_->MemberAt(node);
    auto use = [gather, name = member.name, data_key](base::Result<wire::Body> body) {
      gather->push_back({name, ObjectIn(std::move(body), data_key)});
      gather.Arrive();
    };
    // The shard may have a view already that this part of the node has not.
    const bool same = home_.view() && home_.view()->fence() == view_->fence();
    const auto peer = same ? home_.peers().PeerOf(member.Number()) : std::nullopt;
    if (!peer) {
      use(Fail(Code::kUnavailable, "it is not known how to reach it"));
    } else {
      // What a node in doubt lacks may be what it lost: an older state would be believed.
      home_.peers().Call(*peer, wire::FetchRequest{{data_key}, true}, kRefillTimeout,
                         std::move(use));
    }
  }
  gather.Arrive();
}

void Scrubber::Replace(std::string data_key, std::string damaged, std::string object,
                       StatusDone done) {
  const auto key = repair::ParseRecordKey(data_key);
  LocalShard& owner = shards_.shard(ring::ShardOf(key->token, shards_.count()));
  owner.Post([&owner, &home = home_, data_key = std::move(data_key), damaged = std::move(damaged),
              object = std::move(object), done = std::move(done)]() mutable {
    owner.replica().Replace(
        std::move(data_key), std::move(damaged), std::move(object),
        [&home, done = std::move(done)](base::Result<replica::RecordState> state) mutable {
          home.Post([done = std::move(done), state = std::move(state)]() mutable {
            using replica::RecordState;
            if (!state) return done(Fail(state.error()));
            if (*state == RecordState::kDone) return done({});
            if (*state == RecordState::kBusy) {
              return done(Fail(Code::kOverloaded, "requests work on it"));
            }
            done(Fail(Code::kConflict, "it is another record by now"));
          });
        });
  });
}

std::string Scrubber::NameOf(const std::string& data_key) const {
  const auto key = repair::ParseRecordKey(data_key);
  if (!key) return "key bytes " + Printable(data_key);
  return fmt::format("bucket {}, key {}", BucketName(key->bucket), Printable(key->key));
}

std::string Scrubber::BucketName(uint32_t bucket) const {
  const auto* known = view_ ? view_->FindBucket(bucket) : nullptr;
  return known ? known->name : fmt::format("{:08x}", bucket);
}

}  // namespace lariat::healing
