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

Healing::Healing(Node& node, Shard& home, storage::Engine& engine, telemetry::LogSink& log)
    : node_(node),
      home_(home),
      log_(log),
      marks_(engine, home),
      handoff_(node, home, engine, log, marks_) {}

Healing::~Healing() = default;

void Healing::Start() { handoff_.Start(); }

void Healing::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  handoff_.OnView(view_);
}

void Healing::Stop() {
  view_ = nullptr;
  handoff_.Stop();
}

void Healing::ApplySettings(const config::Settings& settings) { handoff_.ApplySettings(settings); }

void Healing::OnLiveness() { handoff_.OnLiveness(); }

void Healing::MarkDirty(std::vector<replica::DirtyMark> marks) {
  handoff_.MarkDirty(std::move(marks), [](const base::Status&) {});
}

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
  if (auto* push = std::get_if<wire::RecordPush>(&request)) {
    return handoff_.Join(std::move(*push), std::move(done));
  }
  if (auto* hints = std::get_if<wire::HintsRequest>(&request)) {
    return handoff_.FindHinted(
        hints->keys,
        [done = std::move(done)](base::Result<std::vector<std::string>> found) mutable {
          if (!found) return done(Refused<wire::HintsReply>(found.error()));
          wire::HintsReply reply;
          reply.hinted = std::move(*found);
          done(std::move(reply));
        });
  }
  done(Refuse(request, {Code::kUnsupported, "not in this version"}));
}

void Healing::Repair(coordinator::RepairRequest, coordinator::TicketDone done) {
  done(Fail(Code::kUnsupported, "not in this version"));
}

void Healing::Status(coordinator::AdminService::RepairStatusDone done) {
  coordinator::RepairStatus status;
  handoff_.FillStatus(&status);
  done(std::move(status));
}

}  // namespace lariat::node
