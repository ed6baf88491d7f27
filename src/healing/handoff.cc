// SPDX-License-Identifier: Apache-2.0
#include "healing/handoff.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/gather.h"
#include "peers/reply.h"
#include "repair/stream.h"
#include "replica/hint.h"

namespace lariat::healing {

using base::Code;
using base::Fail;

namespace {

constexpr base::Duration kPushTimeout = base::Seconds(10);
constexpr size_t kJoinsMax = 16;    // pushes that are joined at once
constexpr size_t kJoinWindow = 32;  // records of one push

replica::HintLimits LimitsOf(const config::Settings& settings) {
  return {settings.hints_max_bytes_per_target, settings.hints_max_bytes_total};
}

wire::Body PushReply(const base::Status& status) {
  wire::RecordPushReply reply;
  if (!status) reply.outcome = wire::Outcome::From(status.error());
  return reply;
}

// Keys by the shard that owns them. Malformed ones are left out.
template <typename Item, typename KeyOf>
std::map<uint32_t, std::vector<Item>> ByShard(std::vector<Item> items, uint32_t shards,
                                              KeyOf key_of) {
  std::map<uint32_t, std::vector<Item>> sorted;
  for (Item& item : items) {
    const auto key = repair::ParseRecordKey(key_of(item));
    if (key) sorted[ring::ShardOf(key->token, shards)].push_back(std::move(item));
  }
  return sorted;
}

}  // namespace

Handoff::Handoff(Shards& shards, peers::Home& home, storage::Engine& engine,
                 telemetry::LogSink& log, replica::DirtyMarks& marks, Reconcile reconcile)
    : shards_(shards),
      home_(home),
      engine_(engine),
      marks_(marks),
      reconcile_(std::move(reconcile)),
      reader_(engine, home.queue(), home.metrics()),
      delivery_(home.env(), {*this, reader_, shards.hint_budget()}, home.metrics(), log,
                home.settings()) {
  shards_.hint_budget().SetLimits(LimitsOf(home.settings()));
}

void Handoff::Start() {
  marks_.Load();
  delivery_.Start();
  EachSecond();
}

void Handoff::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  delivery_.OnView(view_);
}

void Handoff::Stop() {
  view_ = nullptr;
  delivery_.Stop();
}

void Handoff::ApplySettings(const config::Settings& settings) {
  shards_.hint_budget().SetLimits(LimitsOf(settings));
  delivery_.ApplySettings(settings);
}

void Handoff::EachSecond() {
  home_.env().timers.After(base::Seconds(1), [this] { EachSecond(); });
  marks_.Tick();
  int64_t oldest_ms = 0;
  for (const replica::HintFigures& figures : shards_.hint_budget().Targets()) {
    if (figures.oldest_ms == 0) continue;
    oldest_ms = oldest_ms == 0 ? figures.oldest_ms : std::min(oldest_ms, figures.oldest_ms);
  }
  telemetry::Metrics& metrics = home_.metrics();
  metrics.hints_pending.Set(shards_.hint_budget().hints());
  metrics.hints_pending_bytes.Set(shards_.hint_budget().bytes());
  const int64_t now_ms = home_.env().clock.Wall().ms;
  metrics.hints_oldest_s.Set(oldest_ms == 0 ? 0 : std::max<int64_t>(now_ms - oldest_ms, 0) / 1000);
  metrics.repair_ranges_dirty.Set(static_cast<int64_t>(marks_.size()));
}

void Handoff::FillStatus(coordinator::RepairStatus* status) const {
  if (!view_) return;
  for (const replica::HintFigures& figures : shards_.hint_budget().Targets()) {
    const auto member = view_->by_number.find(figures.target);
    const bool known = member != view_->by_number.end();
    coordinator::HintBacklog backlog;
    backlog.target = known ? view_->MemberAt(member->second).name : "(no member any more)";
    backlog.hints = static_cast<uint64_t>(figures.hints);
    backlog.bytes = static_cast<uint64_t>(figures.bytes);
    backlog.oldest_ms = figures.oldest_ms;
    backlog.bytes_per_s = delivery_.BytesPerSecond(figures.target);
    if (!known) {
      backlog.state = "goes to the present replicas";
    } else {
      backlog.state = IsAlive(figures.target) ? "delivers" : "waits for it";
      const std::string why = delivery_.NotAccepted(figures.target);
      if (!why.empty()) backlog.state += "; some it does not accept: " + why;
    }
    status->hints.push_back(std::move(backlog));
  }
}

// --- joining what others send --------------------------------------------------------------------

struct Handoff::Joining {
  wire::RecordPush push;
  size_t next = 0;
  size_t open = 0;
  bool looping = false;
  base::Status status;
  base::UniqueFunction<void(wire::Body)> done;
};

base::Status Handoff::CheckPush(const wire::RecordPush& push) const {
  if (!view_) return Fail(Code::kStaleEpoch, "the node is in no cluster");
  if (push.entries.size() > wire::kRecordsMax) {
    return Fail(Code::kInvalidArgument, "too many records in one message");
  }
  for (const wire::FetchReply::Entry& entry : push.entries) {
    const auto key = repair::ParseRecordKey(entry.key);
    if (!key) return Fail(Code::kInvalidArgument, "a malformed key");
    if (view_->WasDeleted(key->bucket)) continue;  // dropped, without a word
    const membership::BucketProperties* bucket = view_->FindBucket(key->bucket);
    if (bucket == nullptr) return Fail(Code::kStaleEpoch, "the bucket is not known here yet");
    // A record where nobody looks for it would be old when the range comes back.
    if (!view_->IsReplica(key->token, *bucket)) {
      return Fail(Code::kStaleEpoch, "this node is no replica of a key");
    }
  }
  return {};
}

void Handoff::Join(wire::RecordPush push, base::UniqueFunction<void(wire::Body)> done) {
  if (auto fits = CheckPush(push); !fits) return done(PushReply(fits));
  if (joining_ >= kJoinsMax) {
    return done(PushReply(Fail(Code::kOverloaded, "too many pushes at once")));
  }
  ++joining_;
  for (const wire::FetchReply::Entry& entry : push.entries) ++joining_keys_[entry.key];
  auto joining = std::make_shared<Joining>();  // co-owned by the writes under way
  joining->push = std::move(push);
  joining->done = std::move(done);
  JoinMore(joining);
}

void Handoff::JoinMore(const std::shared_ptr<Joining>& joining) {
  // A write may be answered before it returns: then this loop goes on, not a deeper one.
  if (joining->looping) return;
  joining->looping = true;
  auto& entries = joining->push.entries;
  const auto why =
      joining->push.kind == wire::PushKind::kRepair ? IngestWhy::kRepaired : IngestWhy::kHinted;
  while (joining->next < entries.size() && joining->open < kJoinWindow) {
    wire::FetchReply::Entry& entry = entries[joining->next++];
    const auto key = repair::ParseRecordKey(entry.key);
    ++joining->open;
    shards_.Ingest(
        {key->bucket, key->token, std::string(key->key)}, std::move(entry.object),
        [this, joining](const base::Status& status) {
          --joining->open;
          if (!status && joining->status) joining->status = status;
          JoinMore(joining);
        },
        why);
  }
  joining->looping = false;
  if (joining->open > 0 || joining->next < entries.size() || !joining->done) return;
  --joining_;
  for (const wire::FetchReply::Entry& entry : entries) {
    const auto known = joining_keys_.find(entry.key);
    if (--known->second == 0) joining_keys_.erase(known);
  }
  std::exchange(joining->done, nullptr)(PushReply(joining->status));
}

void Handoff::FindHinted(const std::vector<std::string>& data_keys, KeysDone done) {
  using Hinted = base::Result<std::vector<std::string>>;
  const base::Gather<Hinted> search({}, [this, done = std::move(done)](Hinted hinted) mutable {
    // What was removed may come back in a crash until this sync.
    engine_.Sync(&home_.queue(), [hinted = std::move(hinted),
                                  done = std::move(done)](const base::Status& status) mutable {
      if (!status) hinted = Fail(status.error());
      done(std::move(hinted));
    });
  });
  // What a push is about to write here is on its way as a hint is.
  for (const std::string& key : data_keys) {
    if (joining_keys_.contains(key)) (*search)->push_back(key);
  }
  auto sorted = ByShard(data_keys, shards_.count(), [](const std::string& key) { return key; });
  for (auto& [index, keys] : sorted) {
    search.Expect();
    LocalShard& owner = shards_.shard(index);
    owner.Post([&owner, &home = home_, keys = std::move(keys), search]() mutable {
      owner.replica().FindHinted(std::move(keys), [&home, search](Hinted found) {
        home.Post([search, found = std::move(found)]() mutable {
          if (!found) *search = std::move(found);
          if (*search && found) {
            (*search)->insert((*search)->end(), found->begin(), found->end());
          }
          search.Arrive();
        });
      });
    });
  }
  search.Arrive();
}

// --- delivering ---------------------------------------------------------------------------------

bool Handoff::IsSelf(uint64_t member) const {
  return view_ && view_->MemberAt(view_->self).Number() == member;
}

bool Handoff::IsAlive(uint64_t member) const {
  if (!view_) return false;
  const auto found = view_->by_number.find(member);
  return found != view_->by_number.end() &&
         home_.peers().IsAlive(view_->MemberAt(found->second).id);
}

void Handoff::ReadRecord(std::string data_key, ReadDone done) {
  const auto key = repair::ParseRecordKey(data_key);
  if (!key) return done(std::optional<std::string>());
  LocalShard& owner = shards_.shard(ring::ShardOf(key->token, shards_.count()));
  replica::KeyRef ref{key->bucket, key->token, std::string(key->key)};
  owner.Post([&owner, &home = home_, ref = std::move(ref), done = std::move(done)]() mutable {
    owner.replica().Read(
        std::move(ref), {},
        [&home, done = std::move(done)](base::Result<replica::ReadResult> result) mutable {
          home.Post([done = std::move(done), result = std::move(result)]() mutable {
            if (!result) return done(Fail(result.error()));
            done(result->found ? std::optional(std::move(result->object)) : std::nullopt);
          });
        });
  });
}

void Handoff::Push(uint64_t member, uint64_t fence, Entries entries, StatusDone done) {
  // The shard may have a view already that this part of the node has not.
  if (!view_ || view_->fence() != fence || !home_.view() || home_.view()->fence() != fence) {
    return done(Fail(Code::kStaleEpoch, "this node works by another topology"));
  }
  const auto found = view_->by_number.find(member);
  const auto peer = home_.peers().PeerOf(member);
  if (!IsSelf(member) && (found == view_->by_number.end() || !peer)) {
    return done(Fail(Code::kStaleEpoch, "it is no member"));
  }
  auto answer = [done = std::move(done)](base::Result<wire::Body> body) mutable {
    const auto reply = peers::ReplyIn<wire::RecordPushReply>(std::move(body));
    if (!reply) return done(Fail(reply.error()));
    if (!reply->outcome.ok()) return done(Fail(reply->outcome.ToError()));
    done({});
  };
  wire::RecordPush push{wire::PushKind::kHint, std::move(entries)};
  if (IsSelf(member)) return Join(std::move(push), std::move(answer));
  auto sent = [this, view = view_, node = found->second,
               answer = std::move(answer)](base::Result<wire::Body> body) mutable {
    const auto* reply = body ? std::get_if<wire::RecordPushReply>(&*body) : nullptr;
    if (reply != nullptr && reply->outcome.code == Code::kStaleEpoch) reconcile_(view, node);
    answer(std::move(body));
  };
  home_.peers().Call(*peer, std::move(push), kPushTimeout, std::move(sent));
}

void Handoff::RemoveHints(std::vector<replica::HintMark> hints, StatusDone done) {
  const base::Gather<base::Status> removal({}, std::move(done));
  auto sorted = ByShard(std::move(hints), shards_.count(), [](const replica::HintMark& hint) {
    return std::string_view(hint.key).substr(replica::kHintTargetSize);
  });
  for (auto& [index, marks] : sorted) {
    removal.Expect();
    LocalShard& owner = shards_.shard(index);
    owner.Post([&owner, &home = home_, marks = std::move(marks), removal]() mutable {
      owner.replica().RemoveHints(std::move(marks), [&home, removal](base::Result<size_t> removed) {
        home.Post([removal, removed = std::move(removed)] {
          if (!removed) *removal = Fail(removed.error());
          removal.Arrive();
        });
      });
    });
  }
  removal.Arrive();
}

void Handoff::MarkDirty(std::vector<replica::DirtyMark> marks, StatusDone done) {
  marks_.Mark(marks, home_.env().clock.Wall(), std::move(done));
}

std::optional<base::Duration> Handoff::ForegroundLatency() {
  const auto [count_now, sum_now] = shards_.RequestsSoFar();
  const uint64_t requests = count_now - std::exchange(latency_count_, count_now);
  const base::Duration took = sum_now - std::exchange(latency_sum_, sum_now);
  if (requests == 0) return std::nullopt;
  return took / static_cast<int64_t>(requests);
}

}  // namespace lariat::healing
