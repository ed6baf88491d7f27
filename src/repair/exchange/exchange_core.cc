// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/exchange_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "repair/exchange/ranges.h"

namespace lariat::repair {

using base::Code;
using base::Fail;

namespace {

// Owners of questions that are no lists.
constexpr uint64_t kHashRound = 0;
constexpr uint64_t kMending = 1;

// A side that knows next to nothing of its data is asked again when it has read it.
constexpr size_t kUnknownRound = 128;

bool MayPass(Code code) {
  switch (code) {
    case Code::kUnavailable:
    case Code::kOverloaded:
    case Code::kTimeout:
    case Code::kUnknown:
    case Code::kIo:
    case Code::kStalled:
    case Code::kDiskFull:
      return true;
    default:
      return false;
  }
}

std::vector<merkle::Span> SpansOf(const std::vector<wire::TokenSpan>& ranges) {
  std::vector<merkle::Span> spans;
  for (const wire::TokenSpan& range : ranges) spans.push_back({range.from, range.to});
  return spans;
}

// In token order, those that touch as one.
std::deque<wire::TokenSpan> Merged(std::vector<merkle::Span> spans) {
  std::sort(spans.begin(), spans.end(),
            [](const merkle::Span& a, const merkle::Span& b) { return a.First() < b.First(); });
  std::deque<wire::TokenSpan> merged;
  for (const merkle::Span& span : spans) {
    if (!merged.empty() && merged.back().to == span.from) {
      merged.back().to = span.to;
    } else {
      merged.push_back({span.from, span.to});
    }
  }
  return merged;
}

// Of any reply: whether it says no.
base::Result<wire::Body> Accepted(base::Result<wire::Body> reply) {
  if (!reply) return reply;
  const auto outcome = std::visit(
      [](const auto& body) -> const wire::Outcome* {
        if constexpr (requires { body.outcome; }) return &body.outcome;
        return nullptr;
      },
      *reply);
  if (outcome == nullptr) return Fail(Code::kInternal, "an answer of another kind");
  const bool passes = MayPass(outcome->code) || outcome->code == Code::kStaleEpoch;
  if (passes) return Fail(outcome->ToError());
  return reply;
}

}  // namespace

ExchangeCore::ExchangeCore(ExchangePlan plan, ExchangeOptions options)
    : plan_(std::move(plan)),
      options_(options),
      descent_(SpansOf(plan_.ranges)),
      batch_keys_(options.batch_keys_max) {}

std::vector<ExchangeCore::Ask> ExchangeCore::Next(base::Instant now) {
  std::vector<Ask> asks;
  if (end_ != ExchangeEnd::kRunning) return asks;
  Advance(now);
  for (auto& [ticket, question] : questions_) {
    if (question.sent || question.not_before > now) continue;
    question.sent = true;
    asks.push_back({ticket, question.side, question.request});
  }
  return asks;
}

void ExchangeCore::Advance(base::Instant now) {
  if (phase_ == Phase::kHash && questions_.empty()) AdvanceHash();
  if (phase_ == Phase::kList) AdvanceLists(now);
  if (phase_ == Phase::kPause && now >= pause_until_) phase_ = Phase::kMend;
  if (phase_ == Phase::kMend) AdvanceMend(now);
}

// --- questions and answers ---------------------------------------------------------------------

void ExchangeCore::AddQuestion(uint64_t owner, Side side, wire::Body request) {
  Question question;
  question.owner = owner;
  question.side = side;
  question.request = std::move(request);
  questions_.emplace(++last_ticket_, std::move(question));
}

void ExchangeCore::DropQuestions(uint64_t owner) {
  std::erase_if(questions_, [owner](const auto& entry) { return entry.second.owner == owner; });
}

void ExchangeCore::OnReply(uint64_t ticket, base::Result<wire::Body> reply, base::Instant now) {
  const auto found = questions_.find(ticket);
  if (found == questions_.end() || !found->second.sent) return;
  Question question = std::move(found->second);
  questions_.erase(found);
  reply = Accepted(std::move(reply));
  if (!reply) return OnTrouble(std::move(question), ticket, reply.error(), now);
  why_.clear();
  OnBody(question, std::move(*reply), now);
}

void ExchangeCore::OnTrouble(Question question, uint64_t ticket, const base::Error& error,
                             base::Instant now) {
  const bool ours = question.side == Side::kOurs;
  std::string why = (ours ? "this node" : plan_.partner_name) + ": " + error.message;
  if (error.code == Code::kStaleEpoch) return End(ExchangeEnd::kStale, std::move(why));
  // No message can carry what is to be sent: it must not stop what stands behind it.
  const bool one_record = question.owner == kMending && error.code == Code::kTooLarge;
  if (one_record) return SplitBatch(why);
  if (!MayPass(error.code) || ++question.tries >= options_.tries_max) {
    return End(ExchangeEnd::kFailed, std::move(why));
  }
  why_ = std::move(why);
  base::Duration pause = options_.backoff_min;
  for (uint32_t i = 1; i < question.tries && pause < options_.backoff_max; ++i) pause *= 2;
  question.not_before = now + std::min(pause, options_.backoff_max);
  question.sent = false;
  questions_.emplace(ticket, std::move(question));
}

void ExchangeCore::OnBody(const Question& question, wire::Body body, base::Instant now) {
  if (question.owner == kMending) return OnMend(question.side, std::move(body));
  base::Status status = Fail(Code::kInternal, "an answer of another kind");
  if (auto* hashes = std::get_if<wire::TreeReply>(&body); hashes && question.owner == kHashRound) {
    status = OnHashes(question.side, std::move(*hashes));
  } else if (auto* list = std::get_if<wire::LeafReply>(&body); list && question.owner > kMending) {
    status = {};
    paused_ = true;
    pause_until_ = now + options_.recheck_after;
    OnList(question.owner, question.side, std::move(*list));
  }
  if (!status) {
    const bool ours = question.side == Side::kOurs;
    End(ExchangeEnd::kFailed,
        (ours ? "this node" : plan_.partner_name) + ": " + status.error().message);
  }
}

// --- hashes ------------------------------------------------------------------------------------

void ExchangeCore::AdvanceHash() {
  const std::vector<merkle::Span> round = descent_.Next(wire::kSpansMax);
  if (round.empty()) return BeginLists();
  wire::TreeRequest request;
  request.bucket = plan_.bucket;
  for (const merkle::Span& span : round) request.spans.push_back({span.from, span.to});
  spans_asked_ = round.size();
  AddQuestion(kHashRound, Side::kOurs, request);
  AddQuestion(kHashRound, Side::kTheirs, std::move(request));
}

base::Status ExchangeCore::OnHashes(Side side, wire::TreeReply reply) {
  if (!reply.outcome.ok()) return Fail(reply.outcome.ToError());
  if (reply.hashes.size() != spans_asked_) {
    return Fail(Code::kInternal, "not as many hashes as were asked for");
  }
  std::vector<merkle::SpanHash> hashes;
  for (const auto& hash : reply.hashes) hashes.push_back({hash.hash, hash.keys, hash.known});
  (side == Side::kOurs ? our_hashes_ : their_hashes_) = std::move(hashes);
  if (!our_hashes_ || !their_hashes_) return {};
  if (MostAreUnknown()) {
    figures_.spans_unknown += spans_asked_;
    End(ExchangeEnd::kIncomplete,
        "a replica is still reading its data to build its hash tree, or keeps none "
        "(repair.keep_tree)");
    return {};
  }
  descent_.Compare(*our_hashes_, *their_hashes_);
  our_hashes_.reset();
  their_hashes_.reset();
  return {};
}

bool ExchangeCore::MostAreUnknown() const {
  size_t unknown = 0;
  for (size_t i = 0; i < spans_asked_; ++i) {
    if (!(*our_hashes_)[i].known || !(*their_hashes_)[i].known) ++unknown;
  }
  return unknown >= kUnknownRound && unknown > spans_asked_ / 2;
}

void ExchangeCore::BeginLists() {
  spans_ = Merged(descent_.TakeDiffering());
  for (const wire::TokenSpan& span : spans_) share_total_ += ShareOf(span);
  phase_ = Phase::kList;
}

// --- lists -------------------------------------------------------------------------------------

void ExchangeCore::AdvanceLists(base::Instant now) {
  const bool full = suspects_.size() >= options_.suspects_max;
  while (!full && lists_.size() < options_.lists_max && !spans_.empty()) {
    lists_.emplace(++last_list_, ListCore(plan_.bucket, spans_.front()));
    spans_.pop_front();
  }
  for (auto& [id, list] : lists_) {
    for (const Side side : {Side::kOurs, Side::kTheirs}) {
      if (full) break;
      if (auto request = list.Ask(side)) AddQuestion(id, side, std::move(*request));
    }
  }
  if (!questions_.empty()) return;
  if (suspects_.empty()) return EndLists();
  std::sort(suspects_.begin(), suspects_.end());
  phase_ = Phase::kPause;
  if (!std::exchange(paused_, false)) pause_until_ = now;
}

void ExchangeCore::OnList(uint64_t id, Side side, wire::LeafReply reply) {
  const auto found = lists_.find(id);
  if (found == lists_.end()) return;
  ListCore& list = found->second;
  const auto status = list.OnReply(side, std::move(reply), &suspects_);
  if (status && !list.Finished()) return;
  if (!status || list.damaged()) {
    ++figures_.keys_damaged;
    if (damage_.empty()) damage_ = status ? "damaged records" : status.error().message;
  }
  figures_.keys_listed += list.keys_listed();
  share_done_ += list.Share();
  DropQuestions(id);
  lists_.erase(found);
}

void ExchangeCore::EndLists() {
  if (!lists_.empty() || !spans_.empty()) return;
  figures_.spans_unknown = descent_.unknown().size();
  if (figures_.keys_damaged > 0) {
    return End(ExchangeEnd::kIncomplete, "records that cannot be compared: " + damage_);
  }
  if (figures_.spans_unknown > 0) {
    return End(ExchangeEnd::kIncomplete, "a replica is still reading " +
                                             std::to_string(figures_.spans_unknown) +
                                             " parts of its data to build its hash tree");
  }
  End(ExchangeEnd::kComplete, "");
}

// --- mending -----------------------------------------------------------------------------------

void ExchangeCore::AdvanceMend(base::Instant now) {
  if (mend_ && mend_->Finished()) {
    figures_.keys_received += mend_->received();
    figures_.keys_sent += mend_->sent();
    std::vector<std::string> rest = mend_->TakeRest();
    mend_.reset();
    suspects_.insert(suspects_.begin(), std::make_move_iterator(rest.begin()),
                     std::make_move_iterator(rest.end()));
    batch_keys_ = std::min(batch_keys_ * 2, options_.batch_keys_max);
  }
  if (!mend_ && suspects_.empty()) {
    phase_ = Phase::kList;
    return AdvanceLists(now);
  }
  if (!mend_) BeginBatch();
  for (auto& [side, request] : mend_->TakeRequests()) {
    AddQuestion(kMending, side, std::move(request));
  }
}

void ExchangeCore::BeginBatch() {
  const size_t count = std::min(batch_keys_, suspects_.size());
  const auto end = suspects_.begin() + static_cast<ptrdiff_t>(count);
  mend_.emplace(std::vector<std::string>(std::make_move_iterator(suspects_.begin()),
                                         std::make_move_iterator(end)));
  suspects_.erase(suspects_.begin(), end);
}

void ExchangeCore::OnMend(Side side, wire::Body body) {
  LARIAT_CHECK(mend_.has_value(), "an answer for a batch");
  if (auto status = mend_->OnReply(side, std::move(body)); !status) {
    SplitBatch(status.error().message);
  }
}

// A record that one side cannot read, send or join fails its whole batch: halves find out which.
void ExchangeCore::SplitBatch(const std::string& why) {
  DropQuestions(kMending);
  std::vector<std::string> keys = mend_->keys();
  mend_.reset();
  if (keys.size() == 1) {
    ++figures_.keys_damaged;
    if (damage_.empty()) damage_ = why;
    return;
  }
  batch_keys_ = keys.size() / 2;
  suspects_.insert(suspects_.begin(), std::make_move_iterator(keys.begin()),
                   std::make_move_iterator(keys.end()));
}

// --- the end -----------------------------------------------------------------------------------

void ExchangeCore::End(ExchangeEnd end, std::string why) {
  end_ = end;
  why_ = std::move(why);
  questions_.clear();
}

ExchangeFigures ExchangeCore::figures() const {
  ExchangeFigures figures = figures_;
  figures.hashes_compared = descent_.hashes_compared();
  return figures;
}

double ExchangeCore::Fraction() const {
  if (end_ == ExchangeEnd::kComplete) return 1;
  if (phase_ == Phase::kHash || share_total_ <= 0) return 0;
  double done = share_done_;
  for (const auto& [id, list] : lists_) done += list.ShareDone();
  return std::min(0.99, done / share_total_);
}

}  // namespace lariat::repair
