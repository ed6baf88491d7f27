// SPDX-License-Identifier: Apache-2.0
#include "healing/streams.h"

#include <map>
#include <utility>

#include "base/gather.h"
#include "healing/own_records.h"
#include "membership/drive_core.h"
#include "peers/reply.h"

namespace lariat::healing {

using base::Code;
using base::Fail;

namespace {

constexpr base::Duration kAskTimeout = base::Seconds(1);

}  // namespace

Streams::Streams(Shards& shards, peers::Home& home, storage::Engine& engine,
                 telemetry::LogSink& log, std::function<bool()> in_doubt)
    : shards_(shards),
      home_(home),
      in_doubt_now_(std::move(in_doubt)),
      reader_(engine, home.queue(), home.metrics()),
      meta_(engine, home.queue()),
      source_(reader_, home.metrics(), home.settings()),
      transfer_(home.env(), *this, home.metrics(), log, home.settings()),
      cleaner_(home.env(), *this, reader_,
               {home.metrics().cleaned_records, home.metrics().cleaned_bytes,
                "records of ranges that moved away"},
               log, home.settings()) {}

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
  transfer_.Start(repair::PlanTransfer(*view_), in_doubt_now_());
}

void Streams::Stop() {
  streaming_ = 0;
  view_ = nullptr;
  transfer_.Stop();
  cleaner_.Stop();
}

void Streams::Serve(const base::Uuid& from, wire::RangePull request,
                    base::UniqueFunction<void(wire::RangePage)> done) {
  if (streaming_ != 0 && in_doubt_now_() && !MayGiveInDoubt(from, request)) {
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
  const auto peer = known ? home_.peers().PeerOf(view_->MemberAt(found->second).id) : std::nullopt;
  if (!peer) return done(Fail(Code::kUnavailable, "it is not known how to reach a source"));
  home_.peers().Call(
      *peer, std::move(request), timeout,
      [name = view_->MemberAt(found->second).name,
       done = std::move(done)](base::Result<wire::Body> body) mutable {
        if (!body) {
          return done(Fail(body.error().code, name + " does not answer: " + body.error().message));
        }
        auto page = peers::ReplyIn<wire::RangePage>(std::move(body));
        if (!page) return done(Fail(page.error().code, name + ": " + page.error().message));
        done(std::move(*page));
      });
}

void Streams::WriteLocal(Record record, TransferPort::StatusDone done) {
  shards_.Ingest({record.bucket, record.token, std::move(record.key)}, std::move(record.object),
                 std::move(done), IngestWhy::kMoved);
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
  const auto [count_now, sum_now] = shards_.RequestsSoFar();
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
  asking_ = true;
  const base::Gather<membership::Reports> gather(
      {}, [this, view = view_](const membership::Reports& reports) {
        asking_ = false;
        std::string missing;
        if (view != view_ || !membership::AllKnowTheFence(view->topology, reports, &missing)) {
          return;  // asked again in a second
        }
        cleaned_fence_ = view->fence();
        cleaner_.Start(repair::PlanCleaner(*view));
      });
  for (const base::Uuid& id : membership::Participants(view_->topology)) {
    if (id == view_->MemberAt(view_->self).id) {
      (*gather)[id].fence = view_->fence();
      continue;
    }
    const auto peer = home_.peers().PeerOf(id);
    if (!peer) continue;
    gather.Expect();
    home_.peers().Call(*peer, wire::ProgressRequest{}, kAskTimeout,
                       [gather, id](const base::Result<wire::Body>& body) {
                         const auto* reply =
                             body ? std::get_if<wire::ProgressReply>(&*body) : nullptr;
                         if (reply != nullptr && reply->outcome.ok()) (*gather)[id] = *reply;
                         gather.Arrive();
                       });
  }
  gather.Arrive();
}

void Streams::Remove(uint64_t fence, std::vector<std::string> data_keys, RemoveDone done) {
  const auto allowed = [fence](const LocalShard& shard) {
    const auto& view = shard.view();
    return view && view->fence() == fence && !view->topology.operation;
  };
  RemoveOwn({shards_, home_}, std::move(data_keys), allowed, std::move(done));
}

}  // namespace lariat::healing
