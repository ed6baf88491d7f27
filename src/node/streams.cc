// SPDX-License-Identifier: Apache-2.0
#include "node/streams.h"

#include <map>
#include <utility>

#include "membership/drive_core.h"
#include "node/node.h"

namespace lariat::node {

using base::Code;
using base::Fail;

namespace {

constexpr base::Duration kAskTimeout = base::Seconds(1);

}  // namespace

Streams::Streams(Node& node, Shard& home, storage::Engine& engine, telemetry::LogSink& log)
    : node_(node),
      home_(home),
      reader_(engine, home, home.metrics()),
      meta_(engine, home),
      source_(reader_, home.metrics(), home.settings()),
      transfer_(home.env(), *this, home.metrics(), log, home.settings()),
      cleaner_(home.env(), *this, reader_, home.metrics(), log, home.settings()) {}

Streams::~Streams() = default;

void Streams::Start() { EachSecond(); }

void Streams::ApplySettings(const config::Settings& settings) {
  source_.ApplySettings(settings);
  transfer_.ApplySettings(settings);
  cleaner_.ApplySettings(settings);
}

void Streams::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  in_doubt_.reset();
  const auto& operation = view_->topology.operation;
  if (operation || cleaned_fence_ != view_->fence()) cleaner_.Stop();
  if (!operation || operation->phase != membership::Phase::kStream) {
    streaming_ = 0;
    return transfer_.Stop();
  }
  streaming_ = operation->change.number;
  // What was fetched and written before a doubt began may be lost: all of it is fetched again.
  transfer_.Start(repair::PlanTransfer(*view_), node_.healing().InDoubt());
}

void Streams::Stop() {
  streaming_ = 0;
  view_ = nullptr;
  transfer_.Stop();
  cleaner_.Stop();
}

void Streams::Serve(const base::Uuid& from, wire::RangePull request,
                    base::UniqueFunction<void(wire::RangePage)> done) {
  if (streaming_ != 0 && node_.healing().InDoubt() && !MayGiveInDoubt(from, request)) {
    return done(repair::RangeSource::Refusal(
        Code::kUnavailable,
        "it may have lost records and is compared with the others first (lariat repair status)"));
  }
  source_.Serve(request, streaming_, home_.env().clock.Now(), std::move(done));
}

bool Streams::MayGiveInDoubt(const base::Uuid& to, const wire::RangePull& request) {
  if (!in_doubt_) in_doubt_ = repair::PlanInDoubt(*view_);
  const membership::Member* receiver = view_->topology.Find(to);
  const ring::TokenRange range = {{request.from_token}, {request.to_token}};
  return receiver != nullptr && in_doubt_->contains({receiver->Number(), request.bucket, range});
}

wire::ProgressReply Streams::Progress() const {
  wire::ProgressReply reply;
  if (streaming_ != 0) transfer_.Progress().FillReply(&reply);
  return reply;
}

std::string Streams::Unclean() const {
  if (!view_ || view_->topology.operation) return "its topology changes";
  if (cleaner_.Finished(view_->fence())) return "";
  return "it has yet to remove records of ranges that moved away";
}

// --- receiving ---------------------------------------------------------------------------------

void Streams::Pull(uint64_t source, wire::RangePull request, base::Duration timeout,
                   PageDone done) {
  const auto found = view_ ? view_->by_number.find(source) : decltype(view_->by_number.end()){};
  const bool known = view_ && found != view_->by_number.end();
  const auto peer = known ? home_.PeerOf(view_->MemberAt(found->second).id) : std::nullopt;
  if (!peer) return done(Fail(Code::kUnavailable, "it is not known how to reach a source"));
  home_.Call(
      *peer, std::move(request), timeout,
      [name = view_->MemberAt(found->second).name,
       done = std::move(done)](base::Result<wire::Body> body) mutable {
        if (!body) {
          return done(Fail(body.error().code, name + " does not answer: " + body.error().message));
        }
        if (auto* page = std::get_if<wire::RangePage>(&*body)) return done(std::move(*page));
        done(Fail(Code::kInternal, name + " sent an answer of another kind"));
      });
}

void Streams::WriteLocal(Record record, TransferPort::StatusDone done) {
  home_.Ingest({record.bucket, record.token, std::move(record.key)}, std::move(record.object),
               std::move(done));
}

void Streams::LoadCursors(std::string prefix, ValuesDone done) {
  meta_.List(std::move(prefix), std::move(done));
}

void Streams::SaveCursors(std::vector<CursorUpdate> updates, TransferPort::StatusDone done) {
  std::vector<replica::MetaStore::Update> values;
  for (CursorUpdate& update : updates) {
    values.push_back({std::move(update.name), std::move(update.value)});
  }
  meta_.Apply(std::move(values), std::move(done));
}

std::optional<base::Duration> Streams::LatencySince(uint64_t* count, base::Duration* sum) const {
  const auto [count_now, sum_now] = node_.RequestsSoFar();
  const uint64_t requests = count_now - std::exchange(*count, count_now);
  const base::Duration took = sum_now - std::exchange(*sum, sum_now);
  if (requests == 0) return std::nullopt;
  return took / static_cast<int64_t>(requests);
}

std::optional<base::Duration> Streams::ForegroundLatency() {
  return LatencySince(&transfer_count_, &transfer_sum_);
}

// --- cleaning up -------------------------------------------------------------------------------

void Streams::EachSecond() {
  home_.env().timers.After(base::Seconds(1), [this] { EachSecond(); });
  const base::Instant now = home_.env().clock.Now();
  source_.OnLatency(LatencySince(&source_count_, &source_sum_), now);
  const bool quiet = view_ && view_->topology.sealed && !view_->topology.operation;
  if (quiet && cleaned_fence_ != view_->fence() && !asking_) AskWhetherAllKnow();
}

// What this node may remove, a new owner may still need: as long as one of those that hold data
// works by an earlier document.
void Streams::AskWhetherAllKnow() {
  struct Count {
    size_t waiting = 1;
    membership::Reports reports;
  };
  auto count = std::make_shared<Count>();  // co-owned by the callbacks below
  asking_ = true;
  const auto finish = [this, count, view = view_] {
    if (--count->waiting > 0) return;
    asking_ = false;
    std::string missing;
    if (view != view_ || !membership::AllKnowTheFence(view->topology, count->reports, &missing)) {
      return;  // asked again in a second
    }
    cleaned_fence_ = view->fence();
    cleaner_.Start(repair::PlanCleaner(*view));
  };
  for (const base::Uuid& id : membership::Participants(view_->topology)) {
    if (id == view_->MemberAt(view_->self).id) {
      count->reports[id].fence = view_->fence();
      continue;
    }
    const auto peer = home_.PeerOf(id);
    if (!peer) continue;
    ++count->waiting;
    home_.Call(*peer, wire::ProgressRequest{}, kAskTimeout,
               [count, id, finish](const base::Result<wire::Body>& body) {
                 const auto* reply = body ? std::get_if<wire::ProgressReply>(&*body) : nullptr;
                 if (reply != nullptr && reply->outcome.ok()) count->reports[id] = *reply;
                 finish();
               });
  }
  finish();
}

void Streams::Remove(uint64_t fence, std::vector<std::string> data_keys, RemoveDone done) {
  std::map<uint32_t, std::vector<std::string>> by_shard;
  for (std::string& key : data_keys) {
    const auto parsed = repair::ParseRecordKey(key);
    if (!parsed) continue;
    by_shard[ring::ShardOf(parsed->token, node_.shards())].push_back(std::move(key));
  }
  struct Count {
    size_t waiting = 1;
    base::Result<std::vector<std::string>> skipped;
    RemoveDone done;
  };
  auto count = std::make_shared<Count>();  // co-owned by the callbacks below
  count->done = std::move(done);
  const auto finish = [count] {
    if (--count->waiting == 0) count->done(std::move(count->skipped));
  };
  for (auto& [shard, keys] : by_shard) {
    ++count->waiting;
    Shard& owner = node_.shard(shard);
    const auto collect = [count, finish](base::Result<std::vector<std::string>> removed) {
      if (!removed) {
        count->skipped = std::move(removed);
      } else if (count->skipped) {
        for (std::string& key : *removed) count->skipped->push_back(std::move(key));
      }
      finish();
    };
    owner.Post([&owner, &home = home_, fence, keys = std::move(keys), collect]() mutable {
      owner.RemoveRecords(
          fence, std::move(keys), [&home, collect](base::Result<std::vector<std::string>> removed) {
            home.Post(
                [collect, removed = std::move(removed)]() mutable { collect(std::move(removed)); });
          });
    });
  }
  finish();
}

}  // namespace lariat::node
