// SPDX-License-Identifier: Apache-2.0
#include "repair/hint_delivery.h"

#include <algorithm>
#include <set>
#include <utility>

#include "repair/stream.h"
#include "replica/hint.h"

namespace lariat::repair {

using base::Code;
using telemetry::LogLevel;

namespace {

constexpr replica::HintPageLimits kPage = {512, 256 << 10};
constexpr replica::HintPageLimits kSinglePage = {1, 256 << 10};
constexpr size_t kHintBatchBytes = 256 << 10;
constexpr size_t kReadAhead = 16;  // records of references that are read side by side, at most
constexpr base::Duration kHintPause = base::Millis(20);
// What looking at a hint costs beside sending it.
constexpr uint64_t kLookShare = 8;
constexpr double kRateKept = 0.7;

// What says something of a record, not of the member.
bool IsAboutARecord(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kTooLarge:
    case Code::kTooManySiblings:
    case Code::kCorruption:
    case Code::kUnsupported:
    case Code::kConflict:
      return true;
    default:
      return false;
  }
}

ThrottleOptions HintThrottle(const config::Settings& settings) {
  ThrottleOptions options;
  options.bytes_per_s = static_cast<uint64_t>(settings.hints_replay_bytes_per_s);
  options.latency_max = base::Millis(settings.repair_latency_ms);
  return options;
}

}  // namespace

// One page of a target's hints on its way.
struct HintDelivery::Batch {
  uint64_t target = 0;
  bool usable = false;
  std::shared_ptr<const membership::View> view;
  replica::HintPage page;
  size_t at = 0;         // hints before it are dealt with
  size_t chunk_end = 0;  // records are being read up to here
  size_t reading = 0;
  std::map<size_t, std::optional<std::string>> records;  // of references, by index
  std::set<size_t> unread;                               // those that could not be read

  struct Sent {
    replica::HintMark mark;
    size_t open = 0;
    bool failed = false;
    bool rerouted = false;
    int64_t stored_ms = 0;
  };
  std::vector<Sent> sent;
  struct Push {
    HintPort::Entries entries;
    std::vector<size_t> of;  // indexes of sent
    uint64_t bytes = 0;
  };
  std::map<uint64_t, Push> pushes;  // by member
  uint64_t bytes = 0;
  std::vector<replica::HintMark> old, obsolete;
  size_t old_states = 0;  // of the old ones: what stand-ins took
  std::vector<replica::DirtyMark> dirty;
  HintDeliveryCore::PageEnd end;
  size_t open = 0;  // steps under way

  void KeepsOld(int64_t stored_ms) {
    if (end.oldest_ms == 0 || stored_ms < end.oldest_ms) end.oldest_ms = stored_ms;
  }
  void Add(uint64_t member, const std::string& key, std::string object) {
    Push& push = pushes[member];
    const size_t size = key.size() + object.size();
    push.bytes += size;
    bytes += size;
    push.entries.push_back({key, std::move(object)});
    const size_t index = sent.size() - 1;
    if (!push.of.empty() && push.of.back() == index) return;
    push.of.push_back(index);
    ++sent[index].open;
  }
};

HintDelivery::HintDelivery(env::Env env, Parts parts, telemetry::Metrics& metrics,
                           telemetry::LogSink& log, const config::Settings& settings)
    : env_(env),
      port_(parts.port),
      reader_(parts.reader),
      budget_(parts.budget),
      metrics_(metrics),
      log_(log),
      throttle_(HintThrottle(settings)),
      started_(env.clock.Now()),
      started_wall_(env.clock.Wall()),
      window_ms_(settings.hints_window_s * 1000),
      life_(std::make_shared<uint64_t>(0)) {}

HintDelivery::~HintDelivery() {
  env_.timers.Cancel(second_);
  env_.timers.Cancel(pump_);
}

template <typename Use>
auto HintDelivery::IfCurrent(Use use) {
  return [watch = std::weak_ptr<uint64_t>(life_), life = *life_,
          use = std::move(use)](auto&&... answer) mutable {
    const auto now = watch.lock();
    if (now && *now == life) use(std::forward<decltype(answer)>(answer)...);
  };
}

void HintDelivery::Start() { EachSecond(); }

void HintDelivery::EachSecond() {
  second_ = env_.timers.After(base::Seconds(1), [this] { EachSecond(); });
  throttle_.OnLatency(port_.ForegroundLatency(), env_.clock.Now());
  for (auto rate = rates_.begin(); rate != rates_.end();) {
    const auto bytes = static_cast<double>(std::exchange(rate->second.bytes, 0));
    double& per_second = rate->second.per_second;
    per_second = per_second * kRateKept + bytes * (1 - kRateKept);
    rate = per_second < 1 ? rates_.erase(rate) : std::next(rate);
  }
  Look();
}

double HintDelivery::BytesPerSecond(uint64_t target) const {
  const auto found = rates_.find(target);
  return found == rates_.end() ? 0 : found->second.per_second;
}

std::string HintDelivery::NotAccepted(uint64_t target) const {
  const auto found = careful_.find(target);
  return found == careful_.end() ? "" : found->second;
}

void HintDelivery::ApplySettings(const config::Settings& settings) {
  throttle_.SetOptions(HintThrottle(settings));
  window_ms_ = settings.hints_window_s * 1000;
  if (view_) OnView(view_);
}

// The grace may be all that 64 bits hold.
int64_t HintDelivery::AgeMaxMs(const membership::BucketProperties& bucket) const {
  const auto window_s = static_cast<uint64_t>(window_ms_ / 1000);
  return static_cast<int64_t>(std::min(window_s, bucket.gc_grace_s)) * 1000;
}

// The wall clock as it would be had nobody set it since the start.
base::WallTime HintDelivery::SteadyWall() const {
  return {started_wall_.ms + (env_.clock.Now() - started_) / base::Millis(1)};
}

void HintDelivery::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  buckets_.clear();
  int64_t age_min_ms = window_ms_;
  for (const auto& [name, bucket] : view_->topology.buckets) {
    buckets_[bucket.id] = &bucket;
    age_min_ms = std::min(age_min_ms, AgeMaxMs(bucket));
  }
  core_.SetAgeLimit(age_min_ms);
  core_.OnView(env_.clock.Now());
  Look();
}

void HintDelivery::OnLiveness() { Look(); }

void HintDelivery::Stop() {
  ++*life_;
  view_ = nullptr;
  buckets_.clear();
  env_.timers.Cancel(std::exchange(pump_, 0));
}

// What there is for whom, and who is there.
void HintDelivery::Look() {
  if (!view_) return;
  std::map<uint64_t, HintTarget> targets;
  for (const replica::HintFigures& figures : budget_.Targets()) {
    HintTarget& target = targets[figures.target];
    target.hints = figures.hints;
    target.oldest_ms = figures.oldest_ms;
    target.member = view_->by_number.contains(figures.target);
    target.usable = target.member && port_.IsAlive(figures.target);
  }
  std::erase_if(careful_, [&](const auto& known) { return !targets.contains(known.first); });
  const base::WallTime wall = {std::min(env_.clock.Wall().ms, SteadyWall().ms)};
  core_.OnTargets(targets, env_.clock.Now(), wall);
  PumpAfter({});
}

void HintDelivery::PumpAfter(base::Duration delay) {
  if (pump_ != 0) return;
  pump_ = env_.timers.After(delay, IfCurrent([this] {
                              pump_ = 0;
                              Pump();
                            }));
}

void HintDelivery::Pump() {
  if (!view_) return;
  while (throttle_.MayGo(env_.clock.Now())) {
    const auto page = core_.Next(env_.clock.Now());
    if (!page) return;
    ReadPage(*page);
  }
  PumpAfter(kHintPause);
}

void HintDelivery::ReadPage(const HintDeliveryCore::Page& page) {
  auto batch = std::make_shared<Batch>();
  batch->target = page.target;
  batch->usable = page.usable;
  batch->view = view_;
  batch->end.last_key = page.after;
  // Before the hints are read: what is owed from now on may be missing in what is sent.
  budget_.SetDelivering(page.target, true);
  reader_.Next(page.target, page.after, careful_.contains(page.target) ? kSinglePage : kPage,
               IfCurrent([this, batch](base::Result<replica::HintPage> read) {
                 if (!read) {
                   log_.Log(LogLevel::kWarn, "hints", "hints cannot be read: {}",
                            read.error().message);
                   batch->end.stopped = true;
                   return End(batch);
                 }
                 batch->page = std::move(*read);
                 Gather(batch);
               }));
}

HintStep HintDelivery::Judge(const Batch& batch, const replica::HintPage::Entry& hint) const {
  if (hint.version == 0) return HintStep::kExpire;  // nobody knows what was in it
  const auto key = ParseRecordKey(hint.data_key);
  if (batch.view->WasDeleted(key->bucket)) return HintStep::kDrop;
  const auto bucket = buckets_.find(key->bucket);
  HintCase seen;
  seen.age_ms = env_.clock.Wall().ms - hint.stored_ms;
  seen.steady_age_ms = SteadyWall().ms - hint.stored_ms;
  seen.age_max_ms = window_ms_;
  seen.usable = batch.usable;
  seen.has_object = !hint.object.empty();
  seen.leaving = batch.view->MemberAt(batch.view->self).state == membership::MemberState::kLeaving;
  // A bucket that is not known here yet: somebody will tell.
  if (bucket == buckets_.end()) {
    return seen.steady_age_ms >= window_ms_ ? HintStep::kExpire : HintStep::kKeep;
  }
  seen.age_max_ms = AgeMaxMs(*bucket->second);
  const auto replicas = batch.view->ReplicasOf(key->token, *bucket->second);
  for (const auto* list : {&replicas.read, &replicas.other}) {
    for (const ring::NodeIndex node : *list) {
      if (batch.view->MemberAt(node).Number() == batch.target) seen.is_replica = true;
    }
  }
  return StepFor(seen);
}

// Goes through the page in chunks until the batch is large enough.
void HintDelivery::Gather(const BatchPtr& batch) {
  const auto& hints = batch->page.entries;
  if (batch->view != view_) {
    batch->end.refused = true;
    return End(batch);
  }
  if (batch->at == hints.size() || batch->bytes >= kHintBatchBytes) return Dispatch(batch);
  batch->chunk_end = std::min(batch->at + read_ahead_, hints.size());
  batch->reading = 1;
  for (size_t i = batch->at; i < batch->chunk_end; ++i) {
    if (!hints[i].reference || Judge(*batch, hints[i]) != HintStep::kSend) continue;
    ++batch->reading;
    port_.ReadRecord(hints[i].data_key,
                     IfCurrent([this, batch, i](base::Result<std::optional<std::string>> record) {
                       OnRecord(batch, i, std::move(record));
                     }));
  }
  if (--batch->reading == 0) TakeChunk(batch);
}

void HintDelivery::OnRecord(const BatchPtr& batch, size_t index,
                            base::Result<std::optional<std::string>> record) {
  if (record) {
    batch->records[index] = std::move(*record);
  } else {
    batch->unread.insert(index);
  }
  if (--batch->reading == 0) TakeChunk(batch);
}

void HintDelivery::TakeChunk(const BatchPtr& batch) {
  size_t read = 0;
  for (size_t i = batch->at; i < batch->chunk_end; ++i) {
    const auto record = batch->records.find(i);
    if (record != batch->records.end() && record->second) read += record->second->size();
  }
  // What does not go into the batch is read again: few at a time where they are large.
  read_ahead_ = read > kHintBatchBytes ? std::max<size_t>(1, read_ahead_ / 4)
                                       : std::min(kReadAhead, 2 * read_ahead_);
  for (; batch->at < batch->chunk_end && batch->bytes < kHintBatchBytes; ++batch->at) {
    TakeHint(batch.get(), batch->at);
    batch->end.last_key = batch->page.entries[batch->at].data_key;
  }
  // From the loop: a page whose records are all in memory is many chunks deep.
  env_.executor.Post(IfCurrent([this, batch] { Gather(batch); }));
}

void HintDelivery::TakeHint(Batch* batch, size_t index) {
  replica::HintPage::Entry& hint = batch->page.entries[index];
  const auto key = ParseRecordKey(hint.data_key);
  replica::HintMark mark = {replica::HintKey(batch->target, hint.data_key), hint.version};
  HintStep step = Judge(*batch, hint);
  const bool unread = batch->unread.contains(index) || (hint.reference && step == HintStep::kSend &&
                                                        !batch->records.contains(index));
  if (step == HintStep::kSend && unread) {
    batch->end.failed = true;
    step = HintStep::kKeep;
  }
  switch (step) {
    case HintStep::kKeep:
      return batch->KeepsOld(hint.stored_ms);
    case HintStep::kExpire:
      batch->old_states += hint.object.empty() ? 0 : 1;
      batch->old.push_back(std::move(mark));
      return batch->dirty.push_back(
          replica::DirtyMark::Of(batch->target, key->bucket, key->token.value));
    case HintStep::kDrop:
      return batch->obsolete.push_back(std::move(mark));
    case HintStep::kSend: {
      std::optional<std::string> record;
      if (hint.reference) record = std::move(batch->records[index]);
      // The record is gone: there is nothing left that the target could miss.
      if (!record && hint.object.empty()) return batch->obsolete.push_back(std::move(mark));
      batch->sent.push_back({std::move(mark), 0, false, false, hint.stored_ms});
      if (record) batch->Add(batch->target, hint.data_key, std::move(*record));
      if (!hint.object.empty()) batch->Add(batch->target, hint.data_key, std::move(hint.object));
      return;
    }
    case HintStep::kReroute:
      break;
  }
  batch->sent.push_back({std::move(mark), 0, false, true, hint.stored_ms});
  const auto replicas = batch->view->ReplicasOf(key->token, *buckets_.at(key->bucket));
  std::set<ring::NodeIndex> all(replicas.read.begin(), replicas.read.end());
  all.insert(replicas.other.begin(), replicas.other.end());
  for (const ring::NodeIndex node : all) {
    const uint64_t member = batch->view->MemberAt(node).Number();
    // The target is owed what this node itself holds, too.
    const bool owes_more = member == batch->target && hint.reference;
    if (port_.IsAlive(member)) batch->Add(member, hint.data_key, hint.object);
    if (!port_.IsAlive(member) || owes_more) batch->sent.back().failed = true;
  }
}

void HintDelivery::Dispatch(const BatchPtr& batch) {
  batch->end.done = batch->page.done && batch->page.entries.empty();
  uint64_t looked = 0;
  for (const auto& hint : batch->page.entries) looked += hint.data_key.size() + hint.object.size();
  throttle_.Take(batch->bytes + looked / kLookShare, env_.clock.Now());
  batch->open = 1;
  DropOld(batch);
  if (!batch->obsolete.empty()) {
    ++batch->open;
    metrics_.hints_rerouted.Add(batch->obsolete.size());
    port_.RemoveHints(std::move(batch->obsolete), IfCurrent([this, batch](const base::Status& s) {
                        batch->end.failed |= !s;
                        Finish(batch);
                      }));
  }
  for (const auto& [member, push] : batch->pushes) {
    ++batch->open;
    Send(batch, member);
  }
  Finish(batch);
}

void HintDelivery::DropOld(const BatchPtr& batch) {
  if (batch->old.empty()) return;
  ++batch->open;
  std::sort(batch->dirty.begin(), batch->dirty.end());
  batch->dirty.erase(std::unique(batch->dirty.begin(), batch->dirty.end()), batch->dirty.end());
  auto removed = [this, batch, count = batch->old.size()](const base::Status& status) {
    if (status) metrics_.hints_expired.Add(count);
    if (status && batch->old_states > 0) {
      log_.Log(
          LogLevel::kWarn, "hints",
          "{} writes that this node took in place of a member were too old to be delivered, and "
          "are dropped: where no replica of theirs was there in time they are lost",
          batch->old_states);
    }
    batch->end.failed |= !status;
    Finish(batch);
  };
  // Only when the marks are durable, or a crash would lose both.
  auto marked = [this, batch,
                 removed = IfCurrent(std::move(removed))](const base::Status& status) mutable {
    if (!status) return removed(status);
    port_.RemoveHints(std::move(batch->old), std::move(removed));
  };
  port_.MarkDirty(std::move(batch->dirty), IfCurrent(std::move(marked)));
}

void HintDelivery::Send(const BatchPtr& batch, uint64_t member) {
  Batch::Push& push = batch->pushes[member];
  auto pushed = [this, batch, member](const base::Status& status) {
    const Batch::Push& mine = batch->pushes[member];
    for (const size_t index : mine.of) {
      --batch->sent[index].open;
      batch->sent[index].failed |= !status;
    }
    if (status) {
      metrics_.hints_delivered_bytes.Add(mine.bytes);
      rates_[batch->target].bytes += mine.bytes;
    } else if (status.error().code == Code::kStaleEpoch) {
      batch->end.refused = true;
    } else if (IsAboutARecord(status.error().code)) {
      careful_[batch->target] = status.error().message;
      metrics_.hints_not_accepted.Add(mine.of.size());
      log_.Log(LogLevel::kWarn, "hints", "a hint is not accepted: {}", status.error().message);
    } else if (member == batch->target) {
      batch->end.stopped = true;
    }
    Finish(batch);
  };
  port_.Push(member, batch->view->fence(), std::move(push.entries), IfCurrent(std::move(pushed)));
}

void HintDelivery::Finish(const BatchPtr& batch) {
  if (--batch->open > 0) return;
  std::vector<replica::HintMark> marks;
  uint64_t rerouted = 0;
  for (Batch::Sent& sent : batch->sent) {
    if (sent.failed) {
      batch->end.failed = true;
      batch->KeepsOld(sent.stored_ms);
      continue;
    }
    rerouted += sent.rerouted ? 1 : 0;
    marks.push_back(std::move(sent.mark));
  }
  if (marks.empty()) return End(batch);
  metrics_.hints_delivered.Add(marks.size());
  metrics_.hints_rerouted.Add(rerouted);
  // What stays because something was added to it is met by the next walk.
  port_.RemoveHints(std::move(marks), IfCurrent([this, batch](const base::Status& status) {
                      batch->end.failed |= !status;
                      End(batch);
                    }));
}

void HintDelivery::End(const BatchPtr& batch) {
  budget_.SetDelivering(batch->target, false);
  core_.OnPage(batch->target, batch->end, env_.clock.Now());
  if (const auto oldest = core_.TakeOldest(batch->target); oldest && *oldest != 0) {
    budget_.SetOldest(batch->target, *oldest);
  }
  PumpAfter({});
}

}  // namespace lariat::repair
