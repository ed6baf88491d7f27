// SPDX-License-Identifier: Apache-2.0
#include "healing/sweeper.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/gather.h"
#include "membership/drive_core.h"
#include "merkle/grid.h"
#include "peers/reply.h"
#include "repair/stream.h"

namespace lariat::healing {

using base::Code;
using base::Fail;
using wire::SweepState;
using wire::SweepStep;

namespace {

constexpr base::Duration kSweepTimeout = base::Seconds(5);
constexpr size_t kPushBytes = 1 << 20;
constexpr size_t kReadWindow = 32;
constexpr size_t kConfirmsMax = 1024;  // that wait or are being read
// Each flush makes a file, and serves whoever waits for one.
constexpr base::Duration kFlushPause = base::Seconds(5);

SweepState StateOf(replica::RecordState state) {
  switch (state) {
    case replica::RecordState::kDone:
      return SweepState::kSame;
    case replica::RecordState::kDifferent:
      return SweepState::kDifferent;
    case replica::RecordState::kAbsent:
      return SweepState::kAbsent;
    case replica::RecordState::kBusy:
      return SweepState::kBusy;
  }
  return SweepState::kBusy;
}

}  // namespace

Sweeper::Sweeper(Shards& shards, peers::Home& home, storage::Engine& engine,
                 telemetry::LogSink& log, Ports ports)
    : shards_(shards),
      home_(home),
      engine_(engine),
      ports_(std::move(ports)),
      reader_(engine, home.queue(), home.metrics()),
      sweep_(home.env(), *this, reader_, home.metrics(), log, home.settings()) {}

void Sweeper::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  if (!view_->topology.sealed || view_->topology.operation) return sweep_.Pause();
  sweep_.SetPlan(repair::PlanSweep(*view_));
}

void Sweeper::Stop() {
  view_ = nullptr;
  sweep_.Pause();
}

std::optional<base::Duration> Sweeper::ForegroundLatency() {
  const auto [count, sum] = shards_.RequestsSoFar();
  const uint64_t requests = count - std::exchange(latency_count_, count);
  const base::Duration took = sum - std::exchange(latency_sum_, sum);
  if (requests == 0) return std::nullopt;
  return took / static_cast<int64_t>(requests);
}

void Sweeper::FillStatus(coordinator::SweepStatus* status) const {
  const repair::SweepFigures& figures = sweep_.figures();
  status->last_ms = figures.ended.ms;
  status->tombstones = figures.tombstones;
  status->purged = figures.purged;
  status->folded = figures.folded;
  for (size_t i = 0; i < repair::kSweepBlocks; ++i) {
    if (figures.blocked[i] == 0) continue;
    const auto label = static_cast<telemetry::SweepBlock>(i);
    status->blocked[std::string(telemetry::LabelText(label))] = figures.blocked[i];
  }
}

bool Sweeper::IsAlive(uint64_t member) {
  if (!view_) return false;
  const auto found = view_->by_number.find(member);
  return found != view_->by_number.end() &&
         home_.peers().IsAlive(view_->MemberAt(found->second).id);
}

// --- asking --------------------------------------------------------------------------------------

template <typename Done>
void Sweeper::Send(const To& to, wire::Body request, Done done) {
  if (!view_ || !view_->by_number.contains(to.member)) {
    return done(Fail(Code::kStaleEpoch, "this node works by another topology"));
  }
  // The shard may be ahead of what this part was told, and stamps its own fence.
  const bool same = view_->fence() == to.fence && home_.view()->fence() == to.fence;
  if (!same) return done(Fail(Code::kStaleEpoch, "this node works by another topology"));
  const auto peer = home_.peers().PeerOf(to.member);
  if (!peer || !IsAlive(to.member)) {
    return done(Fail(Code::kUnavailable, "the member does not answer"));
  }
  home_.peers().Call(*peer, std::move(request), to.timeout, std::move(done));
}

template <typename Reply, typename Request, typename Done>
void Sweeper::AskMember(const To& to, Request request, Done done) {
  const bool self = view_ && view_->MemberAt(view_->self).Number() == to.member;
  if (!self) {
    return Send(to, std::move(request),
                [done = std::move(done)](base::Result<wire::Body> body) mutable {
                  done(peers::ReplyIn<Reply>(std::move(body)));
                });
  }
  if (view_->fence() != to.fence) {
    return done(Fail(Code::kStaleEpoch, "this node works by another topology"));
  }
  Serve(std::move(request), std::move(done));
}

void Sweeper::Ask(const To& to, wire::HintsRequest request, HintsDone done) {
  AskMember<wire::HintsReply>(to, std::move(request), std::move(done));
}

void Sweeper::Ask(const To& to, wire::SweepRequest request, SweepDone done) {
  AskMember<wire::SweepReply>(to, std::move(request), std::move(done));
}

void Sweeper::FindLeaves(uint32_t bucket, LeavesDone done) {
  const base::Gather<Leaves> gather({}, std::move(done));
  gather->worth_reading.resize(merkle::kLeaves);
  gather.Expect(shards_.count());
  for (uint32_t i = 0; i < shards_.count(); ++i) {
    LocalShard& shard = shards_.shard(i);
    shard.Post([&shard, &home = home_, bucket, gather] {
      auto parts = shard.replica().tree().LeavesIfAny(bucket, 0, merkle::kLeaves - 1);
      home.Post([gather, parts = std::move(parts)] {
        for (size_t leaf = 0; leaf < parts.size(); ++leaf) {
          const merkle::LeafSum& sum = parts[leaf].sum;
          gather->tombstones += sum.tombstones;
          const bool some = sum.tombstones > 0 || sum.expiring > 0 || sum.foldable > 0;
          if (some || !parts[leaf].known) gather->worth_reading[leaf] = true;
        }
        gather.Arrive();
      });
    });
  }
  gather.Arrive();
}

// --- answering -----------------------------------------------------------------------------------

void Sweeper::Serve(wire::HintsRequest request, HintsDone done) {
  if (request.keys.size() > wire::kRecordsMax) {
    return done(Fail(Code::kInvalidArgument, "too many keys in one message"));
  }
  std::string unclean = ports_.unclean();
  ports_.find_hinted(request.keys, [unclean = std::move(unclean), done = std::move(done)](
                                       base::Result<std::vector<std::string>> found) mutable {
    if (!found) return done(Fail(found.error()));
    wire::HintsReply reply;
    reply.hinted = std::move(*found);
    reply.unclean = std::move(unclean);
    done(std::move(reply));
  });
}

// Only of its own keys a node can say, and do, anything.
base::Status Sweeper::CheckKeys(const std::vector<wire::KeyDigest>& keys) const {
  if (!view_ || view_->topology.operation) {
    return Fail(Code::kStaleEpoch, "the topology of this node changes");
  }
  if (keys.size() > wire::kRecordsMax) {
    return Fail(Code::kInvalidArgument, "too many keys in one message");
  }
  for (const wire::KeyDigest& entry : keys) {
    const auto key = repair::ParseRecordKey(entry.key);
    if (!key) return Fail(Code::kInvalidArgument, "a malformed key");
    const auto* bucket = view_->FindBucket(key->bucket);
    if (bucket == nullptr) return Fail(Code::kStaleEpoch, "the bucket is not known here yet");
    const auto replicas = view_->ReplicasOf(key->token, *bucket).read;
    if (std::find(replicas.begin(), replicas.end(), view_->self) == replicas.end()) {
      return Fail(Code::kStaleEpoch, "this node is no replica of a key");
    }
  }
  return {};
}

uint64_t Sweeper::GraceOf(uint32_t bucket) const {
  const auto* properties = view_ ? view_->FindBucket(bucket) : nullptr;
  return properties ? properties->gc_grace_s : UINT64_MAX;
}

void Sweeper::Serve(wire::SweepRequest request, SweepDone done) {
  if (auto status = CheckKeys(request.keys); !status) return done(Fail(status.error()));
  if (request.step == SweepStep::kConfirm) return Confirm(std::move(request), std::move(done));
  const auto confirmed = request.confirmed;
  ports_.past.learn(confirmed, [this, request = std::move(request),
                                done = std::move(done)](const base::Status& status) mutable {
    if (!status) return done(Fail(status.error()));
    // Meanwhile the topology may have changed.
    if (auto mine = CheckKeys(request.keys); !mine) return done(Fail(mine.error()));
    Change(std::move(request), std::move(done));
  });
}

// --- confirming ----------------------------------------------------------------------------------

struct Sweeper::Reading {
  std::vector<std::string> keys;
  size_t next = 0, open = 0;
  bool looping = false;
  std::function<void(size_t, Object)> use;
  base::UniqueFunction<void()> done;
};

void Sweeper::ReadOwn(std::vector<std::string> data_keys, std::function<void(size_t, Object)> use,
                      base::UniqueFunction<void()> done) {
  auto reading = std::make_shared<Reading>();  // co-owned by the reads under way
  reading->keys = std::move(data_keys);
  reading->use = std::move(use);
  reading->done = std::move(done);
  ReadMore(reading);
}

void Sweeper::ReadMore(const std::shared_ptr<Reading>& reading) {
  // A read may be answered before it returns: then this loop goes on, not a deeper one.
  if (reading->looping) return;
  reading->looping = true;
  while (view_ && reading->next < reading->keys.size() && reading->open < kReadWindow) {
    const size_t at = reading->next++;
    const auto key = repair::ParseRecordKey(reading->keys[at]);
    replica::KeyRef own{key->bucket, key->token, std::string(key->key)};
    ++reading->open;
    shards_.Read(view_->fence(), std::move(own), [this, reading, at](wire::ReadReply reply) {
      --reading->open;
      if (!reply.outcome.ok()) {
        reading->use(at, Fail(reply.outcome.ToError()));
      } else {
        reading->use(at, reply.found ? std::optional(std::move(reply.object))
                                     : std::optional<std::string>());
      }
      ReadMore(reading);
    });
  }
  reading->looping = false;
  if (reading->open > 0 || !reading->done) return;
  for (; reading->next < reading->keys.size(); ++reading->next) {
    reading->use(reading->next, Fail(Code::kStaleEpoch, "the node is out of the cluster"));
  }
  std::exchange(reading->done, nullptr)();
}

struct Sweeper::Confirming {
  wire::SweepRequest request;
  wire::SweepReply reply;
  SweepDone done;
};

// Read, put into files, and read again: what is the same was in them. A purge that the others do
// must not depend on a log of this node that may be cut one day.
void Sweeper::Confirm(wire::SweepRequest request, SweepDone done) {
  if (confirming_ >= kConfirmsMax) {
    return done(Fail(Code::kOverloaded, "too many proofs at once"));
  }
  ++confirming_;
  auto confirming = std::make_shared<Confirming>();  // co-owned by the steps below
  confirming->request = std::move(request);
  confirming->reply.states.resize(confirming->request.keys.size(), SweepState::kSame);
  confirming->done = std::move(done);
  Compare(confirming, [this, confirming] {
    Flushed([this, confirming](const base::Status& flushed) {
      if (!flushed) return Answer(*confirming, flushed);
      Compare(confirming, [this, confirming] {
        engine_.Sync(&home_.queue(), [this, confirming](const base::Status& synced) {
          Answer(*confirming, synced);
        });
      });
    });
  });
}

void Sweeper::Answer(Confirming& confirming, const base::Status& status) {
  --confirming_;
  if (!status) return confirming.done(Fail(status.error()));
  const PastPorts::Confirmed told = ports_.past.confirmed();
  confirming.reply.run = told.run;
  confirming.reply.confirmed = told.confirmed;
  confirming.done(std::move(confirming.reply));
}

void Sweeper::Compare(const std::shared_ptr<Confirming>& confirming,
                      base::UniqueFunction<void()> done) {
  std::vector<std::string> names;
  for (const wire::KeyDigest& key : confirming->request.keys) names.push_back(key.key);
  auto use = [this, confirming](size_t at, Object object) {
    SweepState& state = confirming->reply.states[at];
    const wire::KeyDigest& key = confirming->request.keys[at];
    if (state != SweepState::kSame) return;
    if (!object) {
      state = SweepState::kBusy;
      return;
    }
    const uint64_t grace_s = GraceOf(repair::ParseRecordKey(key.key)->bucket);
    state = repair::ConfirmFor(confirming->request.aim, *object, key.digest,
                               home_.env().clock.Wall(), grace_s);
  };
  ReadOwn(std::move(names), std::move(use), std::move(done));
}

void Sweeper::Flushed(StatusDone done) {
  unflushed_.push_back(std::move(done));
  FlushSoon();
}

void Sweeper::FlushSoon() {
  if (flushing_ || unflushed_.empty()) return;
  const auto settle = base::Millis(home_.settings().repair_settle_ms);
  const base::Instant now = home_.env().clock.Now();
  const base::Instant due = flushed_ ? *flushed_ + std::min(kFlushPause, settle / 2) : now;
  flushing_ = true;
  if (due > now) {
    home_.env().timers.After(due - now, [this] {
      flushing_ = false;
      flushed_.reset();
      FlushSoon();
    });
    return;
  }
  flushed_ = now;
  auto finish = [this, waited = std::exchange(unflushed_, {})](const base::Status& status) mutable {
    flushing_ = false;
    for (StatusDone& done : waited) done(status);
    FlushSoon();
  };
  // A copy of this directory from before has less, and is known by that.
  ports_.past.confirm([this, finish = std::move(finish)](base::Status status) mutable {
    if (!status) return finish(status);
    engine_.Flush(storage::Space::kData, &home_.queue(), std::move(finish));
  });
}

void Sweeper::Change(wire::SweepRequest request, SweepDone done) {
  const base::Gather<base::Result<wire::SweepReply>> gather({}, std::move(done));
  (*gather)->states.resize(request.keys.size(), SweepState::kBusy);
  struct Part {
    std::vector<replica::RecordVersion> records;
    std::vector<size_t> places;  // in the request
  };
  std::map<uint32_t, Part> parts;
  for (size_t i = 0; i < request.keys.size(); ++i) {
    wire::KeyDigest& key = request.keys[i];
    const auto token = repair::ParseRecordKey(key.key)->token;
    Part& part = parts[ring::ShardOf(token, shards_.count())];
    part.records.push_back({std::move(key.key), key.digest});
    part.places.push_back(i);
  }
  for (auto& [shard, part] : parts) {
    gather.Expect();
    auto collect = [gather, places = std::move(part.places)](
                       const base::Result<std::vector<replica::RecordState>>& states) {
      if (!states) *gather = Fail(states.error());
      for (size_t i = 0; states && *gather && i < places.size(); ++i) {
        (*gather)->states[places[i]] = StateOf((*states)[i]);
      }
      gather.Arrive();
    };
    LocalShard& owner = shards_.shard(shard);
    owner.Post([&owner, &home = home_, fold = request.step == SweepStep::kFold,
                fence = view_->fence(), records = std::move(part.records),
                collect = std::move(collect)]() mutable {
      const auto allowed = [&owner, fence] {
        const auto& view = owner.view();
        return view && view->fence() == fence && !view->topology.operation;
      };
      auto back = [&home, collect = std::move(collect)](
                      base::Result<std::vector<replica::RecordState>> states) mutable {
        home.Post([collect = std::move(collect), states = std::move(states)] { collect(states); });
      };
      if (fold) return owner.replica().FoldIf(std::move(records), allowed, std::move(back));
      owner.replica().RemoveIf(std::move(records), allowed, std::move(back));
    });
  }
  gather.Arrive();
}

// --- making replicas equal -----------------------------------------------------------------------

void Sweeper::MakeEqual(uint64_t fence, Mend mend) {
  const To to = {fence, mend.member, kSweepTimeout};
  wire::FetchRequest request;
  request.keys = mend.keys;
  Send(to, std::move(request),
       [this, fence, mend = std::move(mend)](base::Result<wire::Body> body) mutable {
         auto reply = peers::ReplyIn<wire::FetchReply>(std::move(body));
         if (!reply || !reply->outcome.ok() || !view_ || view_->fence() != fence) return;
         wire::RecordPush push;
         push.entries = std::move(reply->entries);
         ports_.join(std::move(push), [this, fence, mend = std::move(mend)](const wire::Body&) {
           if (view_ && view_->fence() == fence) PushOwn(fence, mend);
         });
       });
}

// To all of them: what was joined here, the others lack too.
void Sweeper::PushOwn(uint64_t fence, const Mend& mend) {
  auto pushes = std::make_shared<std::vector<wire::RecordPush>>(1);  // co-owned by both below
  auto use = [pushes, keys = mend.keys, bytes = size_t{0}](size_t at, Object object) mutable {
    if (!object || !*object) return;
    if (bytes > kPushBytes) {
      pushes->emplace_back();
      bytes = 0;
    }
    bytes += keys[at].size() + (*object)->size();
    pushes->back().entries.push_back({keys[at], std::move(**object)});
  };
  ReadOwn(mend.keys, std::move(use), [this, fence, mend, pushes] {
    for (const uint64_t member : mend.replicas) {
      if (!view_ || view_->MemberAt(view_->self).Number() == member) continue;
      for (const wire::RecordPush& push : *pushes) {
        if (push.entries.empty()) continue;
        home_.metrics().repair_keys_sent.Add(push.entries.size());
        Send({fence, member, kSweepTimeout}, push, [](const base::Result<wire::Body>&) {});
      }
    }
  });
}

// --- for people ----------------------------------------------------------------------------------

void Sweeper::WhyKept(KeptQuestion question, TextDone done) {
  const base::WallTime now = home_.env().clock.Wall();
  KeptState state = StateOfKept(question, now);
  if (state.final || !view_) return done(std::move(state.text));
  if (view_->topology.operation)
    return done(state.text + "; nothing goes while the topology changes");
  const uint64_t self = view_->MemberAt(view_->self).Number();
  const bool own = question.replicas.front().number == self;
  const auto next = own ? sweep_.NextIn() : std::nullopt;
  const base::Gather<std::string> trouble(
      {},
      [text = std::move(state.text), done = std::move(done),
       last = NothingKeeps(question.replicas.front().name, next, own && sweep_.Running())](
          const std::string& told) mutable { done(text + "; " + (told.empty() ? last : told)); });
  for (const base::Uuid& id : membership::Participants(view_->topology)) {
    trouble.Expect();
    wire::HintsRequest request;
    request.keys = {question.data_key};
    const membership::Member* member = view_->topology.Find(id);
    Ask({view_->fence(), member->Number(), kSweepTimeout}, std::move(request),
        [trouble, name = member->name](const base::Result<wire::HintsReply>& reply) {
          if (trouble->empty()) *trouble = TroubleOfKept(name, reply);
          trouble.Arrive();
        });
  }
  trouble.Arrive();
}

}  // namespace lariat::healing
