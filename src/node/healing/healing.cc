// SPDX-License-Identifier: Apache-2.0
#include "node/healing/healing.h"

#include <utility>
#include <variant>

#include "node/node.h"

namespace lariat::node {

using base::Code;
using base::Fail;

namespace {

template <typename Reply>
wire::Body Refused(const base::Error& why) {
  Reply reply;
  reply.outcome = wire::Outcome::From(why);
  return reply;
}

// A reply of the request's kind that says no.
wire::Body Refuse(const wire::Body& request, const base::Error& why) {
  if (std::holds_alternative<wire::TreeRequest>(request)) return Refused<wire::TreeReply>(why);
  if (std::holds_alternative<wire::LeafRequest>(request)) return Refused<wire::LeafReply>(why);
  if (std::holds_alternative<wire::FetchRequest>(request)) return Refused<wire::FetchReply>(why);
  if (std::holds_alternative<wire::HintsRequest>(request)) return Refused<wire::HintsReply>(why);
  if (std::holds_alternative<wire::SweepRequest>(request)) return Refused<wire::SweepReply>(why);
  return Refused<wire::RecordPushReply>(why);
}

}  // namespace

Healing::Healing(Node& node, Shard& home, storage::Engine&, telemetry::LogSink& log)
    : node_(node), home_(home), log_(log) {}

Healing::~Healing() = default;

void Healing::Start() {}

void Healing::OnView(std::shared_ptr<const membership::View> view) { view_ = std::move(view); }

void Healing::Stop() { view_ = nullptr; }

void Healing::ApplySettings(const config::Settings&) {}

void Healing::OnLiveness() {}

bool Healing::Takes(const wire::Body& request) {
  return std::holds_alternative<wire::TreeRequest>(request) ||
         std::holds_alternative<wire::LeafRequest>(request) ||
         std::holds_alternative<wire::FetchRequest>(request) ||
         std::holds_alternative<wire::RecordPush>(request) ||
         std::holds_alternative<wire::HintsRequest>(request) ||
         std::holds_alternative<wire::SweepRequest>(request);
}

void Healing::Serve(uint64_t fence, wire::Body request, BodyDone done) {
  if (!view_ || view_->fence() != fence) {
    return done(Refuse(request, {Code::kStaleEpoch, "this node works by another topology"}));
  }
  done(Refuse(request, {Code::kUnsupported, "not in this version"}));
}

void Healing::Repair(coordinator::RepairRequest, coordinator::TicketDone done) {
  done(Fail(Code::kUnsupported, "not in this version"));
}

void Healing::Status(coordinator::AdminService::RepairStatusDone done) { done({}); }

}  // namespace lariat::node
