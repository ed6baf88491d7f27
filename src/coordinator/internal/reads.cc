// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/reads.h"

#include <utility>

#include "coordinator/read_op.h"

namespace lariat::coordinator {

void Reads::Start(const Target& target, ReadPlan plan, Done done) {
  ReadOp::Options options;
  options.core = {.lists = {{plan.needed}, {plan.needed_in_move}},
                  .n = target.Ns().read,
                  .strict = plan.strict,
                  .kind = target.bucket->conflict};
  options.compare_all = plan.compare_all;
  options.view = target.view;
  // What one replica says may vanish anyhow.
  const bool with_move_list = plan.strict && plan.needed > 1;
  options.lineup = ReadLineup(target, context_.replicas(), with_move_list);
  if (plan.sloppy) {
    const auto fallbacks = FallbacksOf(target, context_.replicas());
    AddFallbacks(fallbacks, &options.lineup);
    options.core.sloppy = true;
    options.core.lists[0].pr = plan.primaries;
    options.core.fallbacks = fallbacks.size();
  }
  options.bucket = target.bucket->id;
  options.token = target.token.value;
  options.key = std::move(plan.key);
  options.idempotency_key = std::move(plan.idempotency_key);
  options.durability = target.bucket->durability;
  const base::Instant now = context_.clock().Now();
  options.timeout = plan.deadline - now;
  // Not make_shared: the deadline that outlives it shall keep only the control block.
  auto op = std::shared_ptr<ReadOp>(new ReadOp(std::move(options), context_, std::move(done)));
  deadlines_.Add(plan.deadline, op);
  hedges_.Add(now + base::Millis(context_.settings().request_hedge_ms), op);
  op->Start();
}

void Reads::Tick(base::Instant now) {
  hedges_.Expire(now, [](const std::weak_ptr<ReadOp>& weak) {
    if (auto op = weak.lock()) op->OnHedge();
  });
  deadlines_.Expire(now, [](const std::weak_ptr<ReadOp>& weak) {
    if (auto op = weak.lock()) op->OnTimeout();
  });
}

}  // namespace lariat::coordinator
