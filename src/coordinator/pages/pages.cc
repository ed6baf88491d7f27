// SPDX-License-Identifier: Apache-2.0
#include "coordinator/pages/pages.h"

#include <string>
#include <utility>

#include "coordinator/quorum.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

namespace {

// A scan may take so long although all is well.
constexpr base::Duration kScanTime = base::Millis(50);

}  // namespace

base::Result<PageOp::Options> Pages::Check(ListRequest request) const {
  if (auto status = context_.CheckBucket(request.bucket); !status) return Fail(status.error());
  if (request.limit < 1 || request.limit > kListLimitMax) {
    return Fail(Code::kInvalidArgument, "limit must be 1 to " + std::to_string(kListLimitMax));
  }
  const membership::BucketProperties& bucket = *context_.view()->FindBucket(request.bucket);
  const auto quorum =
      ReadQuorum(request.consistency, bucket, context_.settings().request_timeout_ms,
                 context_.view()->topology.NextN(bucket));
  if (!quorum) return Fail(quorum.error());
  auto span = SpanOf(request);
  if (!span) return Fail(std::move(span.error()));
  if (request.from_token) span->from = PositionOf({*request.from_token}, "");
  if (!request.cursor.empty()) {
    auto at = DecodeCursor(bucket.id, request);
    if (!at) return Fail(std::move(at.error()));
    span->from = std::move(*at);
  }
  const base::Instant due = context_.clock().Now() + base::Millis(quorum->timeout_ms);
  return PageOp::Options{std::move(request), bucket.id, std::move(*span), due};
}

base::Status Pages::Admit() {
  if (in_work_ < static_cast<size_t>(context_.settings().limits_list_pages)) {
    return admission_.Admit(0);
  }
  context_.metrics().list_pages_refused.Add();
  return Fail(Code::kOverloaded, "too many lists are in work (limits.list_pages)");
}

void Pages::List(ListRequest request, ListDone done) {
  auto options = Check(std::move(request));
  if (!options) return done(Fail(std::move(options.error())));
  if (options->span.Empty()) return done(ListReply{});
  if (auto status = Admit(); !status) return done(Fail(std::move(status.error())));
  ++in_work_;
  ListDone leaving = [this, home = context_.home(),
                      done = std::move(done)](base::Result<ListReply> reply) mutable {
    if (!home.expired()) {
      --in_work_;
      admission_.Leave(0);
    }
    done(std::move(reply));
  };
  const base::Instant now = context_.clock().Now();
  const base::Instant due = options->deadline;
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op = std::shared_ptr<PageOp>(
      new PageOp(std::move(*options), context_, read_key_, std::move(leaving)));
  deadlines_.Add(due, op);
  op->Start();
  Watch(op, now);
}

void Pages::Watch(const std::shared_ptr<PageOp>& op, base::Instant now) {
  if (op->over()) return;
  hedges_.Add(now + kScanTime + base::Millis(context_.settings().request_hedge_ms),
              {op, op->round()});
}

void Pages::Tick(base::Instant now) {
  hedges_.Expire(now, [this, now](const Hedge& hedge) {
    const auto op = hedge.op.lock();
    if (!op) return;
    op->OnHedge(hedge.round);
    Watch(op, now);
  });
  deadlines_.Expire(now, [](const std::weak_ptr<PageOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
}

}  // namespace lariat::coordinator
