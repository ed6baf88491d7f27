// SPDX-License-Identifier: Apache-2.0
#include "coordinator/pages/page_op.h"

#include <algorithm>
#include <utility>

#include "coordinator/internal/replies.h"
#include "coordinator/quorum.h"
#include "coordinator/read_op.h"

namespace lariat::coordinator {

using base::Code;

namespace {

constexpr uint64_t kExaminedMax = 10000;  // keys of one page, and of one scan
constexpr size_t kBytesMax = 1 << 20;     // of values
constexpr base::Duration kPageTime = base::Millis(50);
constexpr size_t kReadsAtOnce = 32;
constexpr size_t kTokenKeysMax = 100000;  // of a page that ends with a whole token

// Who is asked, in no order, and whether the token moves: ranges with the same are one stretch.
struct Readers {
  std::vector<ring::NodeIndex> nodes;
  bool moves = false;
  bool operator==(const Readers&) const = default;
};
Readers ReadersOf(const membership::View& view, ring::Token token,
                  const membership::BucketProperties& bucket) {
  auto replicas = view.ReplicasOf(token, bucket);
  std::sort(replicas.read.begin(), replicas.read.end());
  return {std::move(replicas.read), !replicas.other.empty()};
}

// The tokens at which some list of replicas may end.
std::vector<ring::Token> Borders(const membership::View& view) {
  std::vector<ring::Token> borders;
  for (const membership::Member& member : view.topology.members) {
    borders.insert(borders.end(), member.tokens.begin(), member.tokens.end());
    borders.insert(borders.end(), member.next_tokens.begin(), member.next_tokens.end());
  }
  std::sort(borders.begin(), borders.end());
  return borders;
}

}  // namespace

PageOp::PageOp(Options options, OpContext& context, const ReadKey& read_key, ListDone done)
    : options_(std::move(options)),
      context_(context),
      read_key_(read_key),
      home_(context.home()),
      began_(context.clock().Now()),
      done_(std::move(done)),
      at_(options_.span.from) {}

size_t PageOp::KeysLeft() const {
  const auto limit = static_cast<size_t>(options_.request.limit);
  const size_t left = limit - std::min(limit, reply_.keys.size());
  // The keys of a token that has to be finished.
  return left > 0 ? left : static_cast<size_t>(kListLimitMax);
}

uint64_t PageOp::ExaminedLeft() const {
  const uint64_t left = kExaminedMax - std::min(kExaminedMax, examined_);
  return left > 0 ? left : static_cast<uint64_t>(kListLimitMax);
}

size_t PageOp::BytesLeft() const { return kBytesMax - std::min(kBytesMax, bytes_); }

// --- a stretch -----------------------------------------------------------------------------------

void PageOp::Plan() {
  if (!done_) return;
  ++round_;
  stretch_ = {};
  auto view = context_.view();
  if (!view) return Fail({Code::kUnavailable, "this node is not in a cluster now"});
  if (auto status = PlanStretch(std::move(view)); !status) return Fail(std::move(status.error()));
  const uint64_t round = round_;
  const uint32_t needed = stretch_.needed;
  for (uint32_t i = 0; i < needed && round == round_ && done_; ++i) AskOneMore(i == 0);
}

base::Status PageOp::PlanStretch(std::shared_ptr<const membership::View> view) {
  const ListRequest& request = options_.request;
  auto target = FindTarget(view, request.bucket, TokenAt(at_));
  if (!target || target->bucket->id != options_.bucket) {
    return base::Fail(Code::kNotFound, "the bucket '" + request.bucket + "' is gone");
  }
  const auto quorum =
      ReadQuorum(request.consistency, *target->bucket, context_.settings().request_timeout_ms,
                 view->topology.NextN(*target->bucket));
  if (!quorum) return base::Fail(quorum.error());
  stretch_.needed = quorum->NeededOf(target->Ns().read);
  const Demand demand{stretch_.needed, quorum->primaries};
  const Demand none{0, 0};
  if (auto status = CheckAlive(*target, context_.replicas(), demand, none, false); !status) {
    return status;
  }
  const bool strict =
      stretch_.needed + target->bucket->WritersOf(target->Ns().read) > target->Ns().read;
  stretch_.read_each = strict && stretch_.needed > 1 && !target->replicas.other.empty();
  const Lineup lineup = ReadLineup(*target, context_.replicas(), false);
  for (size_t i = lineup.nodes.size(); i-- > 0;) {
    if (lineup.usable[i]) stretch_.spare.push_back(lineup.nodes[i]);
  }
  stretch_.to = EndOfStretch(*target);
  stretch_.view = std::move(view);
  return {};
}

// As far as the same replicas hold the keys.
std::string PageOp::EndOfStretch(const Target& target) const {
  const auto readers = ReadersOf(*target.view, target.token, *target.bucket);
  std::string end;
  for (const ring::Token border : Borders(*target.view)) {
    if (border < target.token || border.value == UINT64_MAX) continue;
    if (ReadersOf(*target.view, {border.value + 1}, *target.bucket) == readers) continue;
    end = PositionAfter(border);
    break;
  }
  const std::string& last = options_.span.to;
  return end.empty() || (!last.empty() && last < end) ? last : end;
}

void PageOp::AskOneMore(bool whole) {
  if (stretch_.spare.empty()) return;
  const ring::NodeIndex node = stretch_.spare.back();
  stretch_.spare.pop_back();
  const size_t source = stretch_.sources.size();
  stretch_.sources.push_back({node, whole});
  wire::ScanRequest scan;
  scan.bucket = options_.bucket;
  scan.from = at_;
  scan.to = stretch_.to;
  // One more than can be shown, to see whether that was the end.
  scan.entries_max =
      static_cast<uint32_t>(std::min<uint64_t>(ExaminedLeft(), (KeysLeft() + 1) * eagerness_));
  scan.bytes_max = kBytesMax;
  if (whole) scan.form = WantsObjects() ? wire::ScanForm::kObjects : wire::ScanForm::kLive;
  context_.replicas().Scan(
      {*stretch_.view, node, Left()}, std::move(scan),
      [self = shared_from_this(), source, round = round_](wire::ScanReply&& page) {
        if (!self->home_.expired()) {
          self->OnPage(round, source, std::move(page));
        }
      });
}

void PageOp::OnPage(uint64_t round, size_t source, wire::ScanReply&& page) {
  if (!done_ || round != round_) return;
  stretch_.sources[source].ended = true;
  if (page.outcome.code == Code::kStaleEpoch) {
    const auto view = stretch_.view;
    const ring::NodeIndex node = stretch_.sources[source].node;
    ++round_;  // nobody else's answer counts
    stretch_ = {};
    if (context_.NewerThan(*view)) return Plan();
    return context_.WaitFor(view, node, attempts_++, [self = shared_from_this()] {
      self->context_.metrics().requests_planned_again.Add();
      self->Plan();
    });
  }
  if (!page.outcome.ok()) return OnFailed(page.outcome.ToError());
  stretch_.has_whole |= stretch_.sources[source].whole;
  stretch_.pages.push_back(std::move(page));
  if (stretch_.pages.size() >= stretch_.needed && stretch_.has_whole) Merge();
}

// Whoever is asked instead is asked for everything: the one that failed may have been.
void PageOp::OnFailed(base::Error why) {
  context_.metrics().replica_failures.Add();
  if (!stretch_.spare.empty()) return AskOneMore(true);
  const auto& sources = stretch_.sources;
  const auto waits = std::count_if(sources.begin(), sources.end(),
                                   [](const Source& source) { return !source.ended; });
  const size_t may_come = stretch_.pages.size() + static_cast<size_t>(waits);
  if (waits == 0 || may_come < stretch_.needed) Fail(std::move(why));
}

void PageOp::OnHedge(uint64_t round) {
  if (!done_ || round != round_ || stretch_.spare.empty()) return;
  context_.metrics().reads_hedged.Add();
  AskOneMore(true);
}

// --- what they say -------------------------------------------------------------------------------

void PageOp::Merge() {
  ++round_;  // those that are late are not needed any more
  MergedPages merged = MergePages(std::move(stretch_.pages), !WantsObjects(),
                                  {KeysLeft(), std::max<size_t>(1, BytesLeft())});
  for (JudgedKey& key : merged.keys) key.agreed &= !stretch_.read_each;
  examined_ += merged.examined;
  context_.metrics().list_keys_examined.Add(merged.examined);
  // Where most of it is dead the next step is longer, up to what a page may look at.
  if (merged.keys.size() * 2 < merged.examined) eagerness_ = std::min<size_t>(eagerness_ * 4, 1024);
  stretch_.keys = std::move(merged.keys);
  stretch_.next = merged.next.empty() ? stretch_.to : std::move(merged.next);
  read_.assign(stretch_.keys.size(), {});
  next_read_ = 0;
  ReadDisputed();
}

// Callbacks may come before their call returns: `reading_` makes a loop of that.
void PageOp::ReadDisputed() {
  if (std::exchange(reading_, true)) return;
  for (; done_ && next_read_ < stretch_.keys.size() && reads_out_ < kReadsAtOnce; ++next_read_) {
    const JudgedKey& key = stretch_.keys[next_read_];
    if (key.agreed) continue;
    context_.metrics().list_keys_read.Add();
    GetRequest get{options_.request.bucket, std::string(KeyAt(key.position)),
                   options_.request.consistency, options_.request.caller};
    get.consistency.timeout_ms = std::max<int64_t>(1, Left() / base::Millis(1));
    ++reads_out_;
    read_key_(std::move(get),
              [self = shared_from_this(), at = next_read_](base::Result<GetReply> reply) {
                if (!self->home_.expired()) self->OnRead(at, std::move(reply));
              });
  }
  reading_ = false;
  if (done_ && reads_out_ == 0 && next_read_ == stretch_.keys.size()) EndRound();
}

void PageOp::OnRead(size_t at, base::Result<GetReply> reply) {
  --reads_out_;
  if (!done_) return;
  if (!reply) return Fail(std::move(reply.error()));
  read_[at] = std::move(*reply);
  ReadDisputed();
}

void PageOp::Show() {
  const base::WallTime now = context_.clock().Wall();
  const bool values = options_.request.values;
  for (size_t i = 0; i < stretch_.keys.size(); ++i) {
    const JudgedKey& judged = stretch_.keys[i];
    ListedKey listed{std::string(KeyAt(judged.position)), std::move(read_[i])};
    if (judged.agreed && values) {
      auto object = causal::Object::Decode(judged.object);
      if (!object) return Fail(std::move(object.error()));
      const GetRequest get{options_.request.bucket, listed.key, {}, {}};
      listed.shown =
          ShowObject({std::move(*object), stretch_.needed, 0, ""}, get, *stretch_.view, now);
    }
    if (listed.shown.values.empty() && (values || !judged.agreed)) continue;
    for (const ShownValue& value : listed.shown.values) bytes_ += value.bytes.size();
    if (!values) listed.shown = {};
    reply_.keys.push_back(std::move(listed));
  }
}

// --- how far -------------------------------------------------------------------------------------

void PageOp::EndRound() {
  Show();
  if (!done_) return;
  at_ = stretch_.next;
  if (at_.empty() || !IsBefore(at_, options_.span.to)) return Finish();
  if (reply_.keys.size() > kTokenKeysMax) {
    return Fail({Code::kTooLarge,
                 "a hash tag has more than 100000 keys, too many for a cursor of "
                 "this protocol; list it over HTTP by its prefix"});
  }
  if (IsFull() && !InsideToken()) return Finish();
  Plan();
}

// Some of its keys are shown, or it is where the page began: it has to be finished.
bool PageOp::InsideToken() const {
  if (!WholeTokens() || KeyAt(at_).empty()) return false;
  const ring::Token token = TokenAt(at_);
  const bool shown = !reply_.keys.empty() && ring::TokenOf(reply_.keys.back().key) == token;
  return shown || token == TokenAt(options_.span.from);
}

bool PageOp::IsFull() const {
  return reply_.keys.size() >= static_cast<size_t>(options_.request.limit) ||
         examined_ >= kExaminedMax || bytes_ >= kBytesMax ||
         context_.clock().Now() - began_ >= kPageTime;
}

void PageOp::OnTimeout() {
  if (!done_) return;
  // What was looked at so far is a page too.
  if (at_ != options_.span.from && !InsideToken()) return Finish();
  Fail({Code::kTimeout, "the replicas of these keys did not answer in time; nothing was changed"});
}

void PageOp::Finish() {
  const bool more = !at_.empty() && IsBefore(at_, options_.span.to);
  if (more && WholeTokens()) reply_.next_token = TokenAt(at_).value;
  if (more) reply_.cursor = EncodeCursor(options_.bucket, options_.request, at_);
  context_.metrics().list_pages.Add();
  context_.metrics().list_keys_shown.Add(reply_.keys.size());
  std::exchange(done_, nullptr)(std::move(reply_));
}

void PageOp::Fail(base::Error error) {
  std::exchange(done_, nullptr)(base::Fail(std::move(error)));
}

}  // namespace lariat::coordinator
