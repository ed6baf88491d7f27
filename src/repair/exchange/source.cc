// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/source.h"

#include <algorithm>
#include <utility>

#include "base/coding.h"
#include "merkle/grid.h"
#include "merkle/leaf_sum.h"
#include "repair/exchange/message_size.h"
#include "repair/stream.h"

namespace lariat::repair {

using base::Code;
using base::Fail;

namespace {

constexpr base::Duration kSourceLooksAgain = base::Millis(20);

template <typename Reply>
wire::Body Refusal(const base::Error& why) {
  Reply reply;
  reply.outcome = wire::Outcome::From(why);
  return reply;
}

wire::Body Refuse(const wire::Body& request, const base::Error& why) {
  if (std::holds_alternative<wire::TreeRequest>(request)) return Refusal<wire::TreeReply>(why);
  if (std::holds_alternative<wire::LeafRequest>(request)) return Refusal<wire::LeafReply>(why);
  return Refusal<wire::FetchReply>(why);
}

bool IsInside(const wire::TokenSpan& span, const ring::TokenRange& range) {
  if (range.from == range.to) return true;
  const merkle::Span inner = {span.from, span.to};
  return span.from != span.to && inner.First() >= range.First().value && span.to <= range.to.value;
}

// Whoever asks for the same twice makes this node work without end.
bool Overlap(std::vector<wire::TokenSpan> spans) {
  std::sort(spans.begin(), spans.end(),
            [](const auto& a, const auto& b) { return a.from + 1 < b.from + 1; });
  for (size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].from + 1 <= spans[i - 1].to) return true;
  }
  return false;
}

base::Hash128 DigestOf(const std::vector<wire::TokenSpan>& spans) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  for (const wire::TokenSpan& span : spans) {
    writer.U64(span.from);
    writer.U64(span.to);
  }
  return base::HashOf128(bytes);
}

bool GoesOverZero(const merkle::Span& span) {
  return span.from != span.to ? span.First() > span.to : span.to != UINT64_MAX;
}

}  // namespace

Source::Source(env::Env env, SourcePort& port, replica::RangeReader& reader, Throttle& throttle,
               telemetry::Metrics& metrics)
    : env_(env),
      port_(port),
      reader_(reader),
      throttle_(throttle),
      metrics_(metrics),
      alive_(std::make_shared<bool>(true)) {}

Source::~Source() { env_.timers.Cancel(timer_); }

template <typename Use>
auto Source::WhileAlive(Use use) {
  return [alive = std::weak_ptr<bool>(alive_), use = std::move(use)](auto&&... answer) mutable {
    if (!alive.expired()) use(std::forward<decltype(answer)>(answer)...);
  };
}

void Source::Charge(uint64_t bytes) { throttle_.Take(bytes, env_.clock.Now()); }

// --- turns -------------------------------------------------------------------------------------

void Source::Serve(wire::Body request, Done done) {
  metrics_.repair_bytes_received.Add(MessageBytes(request));
  if (waiting_.size() >= options_.waiting_max) {
    return done(Refuse(request, {Code::kOverloaded, "too many comparisons wait here"}));
  }
  waiting_.push_back({std::move(request), std::move(done)});
  Pump();
}

void Source::Pump() {
  while (!waiting_.empty() && serving_ < options_.serving_max &&
         throttle_.MayGo(env_.clock.Now())) {
    Turn turn = std::move(waiting_.front());
    waiting_.pop_front();
    ++serving_;
    Answer(std::move(turn.request),
           WhileAlive([this, done = std::move(turn.done)](wire::Body reply) mutable {
             OnServed(std::move(reply), std::move(done));
           }));
  }
  if (waiting_.empty() || timer_ != 0) return;
  timer_ = env_.timers.After(kSourceLooksAgain, [this] {
    timer_ = 0;
    Pump();
  });
}

void Source::OnServed(wire::Body reply, Done done) {
  --serving_;
  const uint64_t bytes = MessageBytes(reply);
  metrics_.repair_bytes_sent.Add(bytes);
  Charge(bytes);
  done(std::move(reply));
  Pump();
}

void Source::Answer(wire::Body request, Done done) {
  if (auto* tree = std::get_if<wire::TreeRequest>(&request)) {
    return Hash(std::move(*tree), std::move(done));
  }
  if (auto* leaf = std::get_if<wire::LeafRequest>(&request)) {
    return List(std::move(*leaf), std::move(done));
  }
  if (auto* fetch = std::get_if<wire::FetchRequest>(&request)) {
    return Fetch(std::move(*fetch), std::move(done));
  }
  done(Refuse(request, {Code::kUnsupported, "no question of a comparison"}));
}

base::Status Source::CheckHeld(uint32_t bucket, const wire::TokenSpan& span) const {
  if (const auto found = held_.find(bucket); found != held_.end()) {
    for (const ring::TokenRange& range : found->second) {
      if (IsInside(span, range)) return {};
    }
  }
  return Fail(Code::kConflict, "this node does not hold that range");
}

base::Status Source::CheckKeys(const std::vector<std::string>& keys) const {
  if (keys.size() > wire::kRecordsMax) return Fail(Code::kTooLarge, "too many keys at once");
  for (const std::string& key : keys) {
    const auto parts = ParseRecordKey(key);
    if (!parts) return Fail(Code::kInvalidArgument, "a key that is none");
    const wire::TokenSpan one = {parts->token.value - 1, parts->token.value};
    if (auto status = CheckHeld(parts->bucket, one); !status) return status;
  }
  return {};
}

// --- hashes ------------------------------------------------------------------------------------

// Whole leaves are hashed from left to right, as many at a time as is good for the shards; cut
// leaves, whose records have to be read, one after the other at the end.
struct Source::Hashing {
  struct Piece {
    size_t index = 0;  // in the request
    merkle::Span span;
    merkle::RunHash hash;
  };
  uint32_t bucket = 0;
  base::Hash128 spans;   // a digest of them
  uint64_t version = 0;  // of the tree when it began
  std::vector<Piece> whole;
  std::vector<Piece> cut;
  size_t first_open = 0;  // of `whole`
  uint32_t next_leaf = 0;
  merkle::LeafSum cut_sum;  // of cut.back(), as far as it was read
  wire::TreeReply reply;
  Done done;

  void Finish(const Piece& piece) {
    reply.hashes[piece.index].hash = piece.hash.hash();
    reply.hashes[piece.index].keys = piece.hash.keys();
  }
};

void Source::Hash(wire::TreeRequest request, Done done) {
  if (request.spans.size() > wire::kSpansMax) {
    return done(Refusal<wire::TreeReply>({Code::kTooLarge, "too many spans at once"}));
  }
  if (Overlap(request.spans)) {
    return done(Refusal<wire::TreeReply>({Code::kInvalidArgument, "spans that overlap"}));
  }
  auto work = std::make_shared<Hashing>();  // co-owned by the callbacks below
  work->bucket = request.bucket;
  work->reply.hashes.resize(request.spans.size());
  for (size_t i = 0; i < request.spans.size(); ++i) {
    const merkle::Span span = {request.spans[i].from, request.spans[i].to};
    auto status = CheckHeld(request.bucket, request.spans[i]);
    const bool cuts = span.CutsFirstLeaf() || span.CutsLastLeaf();
    const bool one_leaf = span.FirstLeaf() == span.LastLeaf();
    if (status && (GoesOverZero(span) || (cuts && !one_leaf))) {
      status = Fail(Code::kInvalidArgument, "a span that is not cut along leaves");
    }
    if (!status) return done(Refusal<wire::TreeReply>(status.error()));
    (cuts ? work->cut : work->whole).push_back({i, span, {}});
  }
  std::sort(work->whole.begin(), work->whole.end(),
            [](const auto& a, const auto& b) { return a.span.FirstLeaf() < b.span.FirstLeaf(); });
  work->done = std::move(done);
  work->spans = DigestOf(request.spans);
  port_.StateOf(work->bucket, WhileAlive([this, work](const SourcePort::TreeState& tree) mutable {
                  HashUnlessKnown(std::move(work), tree);
                }));
}

void Source::HashUnlessKnown(std::shared_ptr<Hashing> work, const SourcePort::TreeState& tree) {
  if (tree.empty) return work->done(std::move(work->reply));
  const auto known = known_.find({work->bucket, work->spans});
  if (known != known_.end() && known->second.version == tree.version) {
    return work->done(known->second.reply);
  }
  work->version = tree.version;
  metrics_.repair_spans_hashed.Add(work->reply.hashes.size());
  HashNext(std::move(work));
}

void Source::Remember(const Hashing& work) {
  for (const auto& hash : work.reply.hashes) {
    if (!hash.known) return;
  }
  if (remembered_ + work.reply.hashes.size() > options_.remembered_max) {
    known_.clear();
    remembered_ = 0;
  }
  if (work.reply.hashes.size() > options_.remembered_max) return;
  Known& known = known_[{work.bucket, work.spans}];
  remembered_ += work.reply.hashes.size() - known.reply.hashes.size();
  known = {work.version, work.reply};
}

void Source::SetHeld(HeldRanges held) {
  held_ = std::move(held);
  known_.clear();  // others will be asked for
  remembered_ = 0;
}

void Source::HashNext(std::shared_ptr<Hashing> work) {
  auto& whole = work->whole;
  while (work->first_open < whole.size() &&
         whole[work->first_open].span.LastLeaf() < work->next_leaf) {
    work->Finish(whole[work->first_open++]);
  }
  if (work->first_open < whole.size()) return HashWhole(std::move(work));
  if (!work->cut.empty()) {
    work->cut_sum = {};
    return ReadCutLeaf(std::move(work), "");
  }
  Remember(*work);
  work->done(std::move(work->reply));
}

void Source::HashWhole(std::shared_ptr<Hashing> work) {
  const auto& open = work->whole[work->first_open].span;
  const uint32_t first = std::max(work->next_leaf, open.FirstLeaf());
  const uint32_t last = std::min(first + options_.leaves_max, merkle::kLeaves) - 1;
  uint32_t used = open.LastLeaf();  // spans behind this one may be asked for in one go
  for (size_t i = work->first_open; i < work->whole.size(); ++i) {
    if (work->whole[i].span.FirstLeaf() > last) break;
    used = std::max(used, work->whole[i].span.LastLeaf());
  }
  const uint32_t end = std::min(last, used);
  port_.Leaves(work->bucket, first, end,
               WhileAlive([this, work, first, end](std::vector<replica::LeafPart> leaves) mutable {
                 for (size_t i = work->first_open; i < work->whole.size(); ++i) {
                   auto& piece = work->whole[i];
                   if (piece.span.FirstLeaf() > end) break;
                   const uint32_t to = std::min(end, piece.span.LastLeaf());
                   for (uint32_t leaf = std::max(first, piece.span.FirstLeaf()); leaf <= to;
                        ++leaf) {
                     if (leaves.empty()) break;
                     const replica::LeafPart& part = leaves.at(leaf - first);
                     piece.hash.Add(leaf, part.sum);
                     if (!part.known) work->reply.hashes[piece.index].known = false;
                   }
                 }
                 work->next_leaf = end + 1;
                 HashNext(std::move(work));
               }));
}

void Source::ReadCutLeaf(std::shared_ptr<Hashing> work, std::string after) {
  const merkle::Span span = work->cut.back().span;
  replica::PageOptions options;
  options.bytes_max = options_.page_bytes;
  auto use = [this, work](base::Result<replica::RecordPage> page) mutable {
    Hashing::Piece& piece = work->cut.back();
    const bool readable = page.has_value() && page->damaged == 0;
    if (!readable) work->reply.hashes[piece.index].known = false;
    if (readable) {
      for (const auto& record : page->records) {
        Charge(record.bytes);
        const base::Hash128 digest = base::HashOf128(record.object);
        work->cut_sum.Add(merkle::EntryHash(record.key, digest), {});
      }
      if (!page->done) return ReadCutLeaf(std::move(work), std::move(page->last_key));
    }
    piece.hash.Add(piece.span.FirstLeaf(), work->cut_sum);
    work->Finish(piece);
    work->cut.pop_back();
    HashNext(std::move(work));
  };
  reader_.Next({work->bucket, {{span.from}, {span.to}}}, std::move(after), options,
               WhileAlive(std::move(use)));
}

// --- lists -------------------------------------------------------------------------------------

void Source::List(wire::LeafRequest request, Done done) {
  if (auto status = CheckHeld(request.bucket, request.span); !status) {
    return done(Refusal<wire::LeafReply>(status.error()));
  }
  replica::PageOptions options;
  options.bytes_max = options_.page_bytes;
  options.entries_max = wire::kRecordsMax;
  auto use = [this, done = std::move(done)](base::Result<replica::RecordPage> page) mutable {
    if (!page) return done(Refusal<wire::LeafReply>(page.error()));
    wire::LeafReply reply;
    for (auto& record : page->records) {
      Charge(record.bytes);
      reply.entries.push_back({std::move(record.key), base::HashOf128(record.object)});
    }
    reply.last_key = std::move(page->last_key);
    reply.done = page->done;
    if (page->damaged > 0) {
      reply.outcome = {Code::kCorruption, "damaged records (" + page->damage + ")"};
    }
    done(std::move(reply));
  };
  reader_.Next({request.bucket, {{request.span.from}, {request.span.to}}},
               std::move(request.after_key), options, WhileAlive(std::move(use)));
}

// --- objects -----------------------------------------------------------------------------------

struct Source::Fetching {
  std::vector<std::string> keys;
  size_t at = 0;
  size_t bytes = 0;
  wire::FetchReply reply;
  Done done;
};

void Source::Fetch(wire::FetchRequest request, Done done) {
  if (auto status = CheckKeys(request.keys); !status) {
    return done(Refusal<wire::FetchReply>(status.error()));
  }
  auto work = std::make_shared<Fetching>();  // co-owned by the callbacks below
  work->keys = std::move(request.keys);
  work->done = std::move(done);
  FetchNext(std::move(work));
}

// What does not go into one reply is read again: few at a time where they are large.
void Source::AdaptReads(const SourcePort::Objects& objects) {
  size_t bytes = 0;
  for (const auto& object : objects) bytes += object && *object ? (*object)->size() : 0;
  reads_ = bytes > wire::kRecordBytesMax ? std::max<size_t>(1, reads_ / 4)
                                         : std::min(options_.reads_max, 2 * reads_);
}

void Source::FetchNext(std::shared_ptr<Fetching> work) {
  const size_t end = std::min(work->at + reads_, work->keys.size());
  if (work->at == end) return work->done(std::move(work->reply));
  std::vector<std::string> keys(work->keys.begin() + static_cast<ptrdiff_t>(work->at),
                                work->keys.begin() + static_cast<ptrdiff_t>(end));
  port_.Read(std::move(keys), WhileAlive([this, work](SourcePort::Objects objects) mutable {
               AdaptReads(objects);
               for (base::Result<std::optional<std::string>>& object : objects) {
                 if (!object) return work->done(Refusal<wire::FetchReply>(object.error()));
                 std::string& key = work->keys[work->at];
                 const size_t size = key.size() + (*object ? (*object)->size() : 0);
                 const bool full =
                     !work->reply.entries.empty() && work->bytes + size > wire::kRecordBytesMax;
                 if (full) {
                   work->reply.complete = false;
                   return work->done(std::move(work->reply));
                 }
                 ++work->at;
                 if (!*object) continue;
                 work->bytes += size;
                 Charge(size);
                 work->reply.entries.push_back({std::move(key), std::move(**object)});
               }
               FetchNext(std::move(work));
             }));
}

}  // namespace lariat::repair
