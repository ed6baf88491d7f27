// SPDX-License-Identifier: Apache-2.0
#include "healing/healing.h"

#include <utility>
#include <variant>

namespace lariat::healing {

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

// Turns a result into a reply of that kind.
template <typename Reply>
auto ReplyOf(Healing::BodyDone done) {
  return [done = std::move(done)](base::Result<Reply> reply) mutable {
    if (!reply) return done(Refused<Reply>(reply.error()));
    done(std::move(*reply));
  };
}

}  // namespace

Healing::Healing(Shards& shards, peers::Home& home, storage::Engine& engine,
                 telemetry::LogSink& log, Ports ports)
    : shards_(shards),
      home_(home),
      log_(log),
      ports_(std::move(ports)),
      marks_(engine, home.queue()),
      handoff_(shards, home, engine, log, marks_, ports_.reconcile),
      doubts_(shards, home, engine, log,
              [this](const repair::ExchangePair& pair) { anti_entropy_.Doubt(pair); }),
      anti_entropy_(shards, home, engine, log, AntiEntropyPorts()),
      sweeper_(shards, home, engine, log, SweeperPorts()),
      scrubber_(shards, home, engine, log),
      deleted_(shards, home, engine, log) {}

Healing::~Healing() = default;

void Healing::Start() {
  handoff_.Start();
  anti_entropy_.Start();
  doubts_.Start();
  scrubber_.Start();
  deleted_.Start();
}

void Healing::OnView(std::shared_ptr<const membership::View> view) {
  view_ = std::move(view);
  handoff_.OnView(view_);
  anti_entropy_.OnView(view_);
  doubts_.OnView(view_);
  sweeper_.OnView(view_);
  scrubber_.OnView(view_);
  deleted_.OnView(view_);
}

void Healing::Stop() {
  view_ = nullptr;
  handoff_.Stop();
  anti_entropy_.Stop();
  doubts_.Stop();
  sweeper_.Stop();
  scrubber_.Stop();
  deleted_.Stop();
}

void Healing::ApplySettings(const config::Settings& settings) {
  handoff_.ApplySettings(settings);
  anti_entropy_.ApplySettings(settings);
  sweeper_.ApplySettings(settings);
  scrubber_.ApplySettings(settings);
  deleted_.ApplySettings(settings);
}

void Healing::OnLiveness() {
  handoff_.OnLiveness();
  anti_entropy_.OnLiveness();
}

void Healing::MarkDirty(std::vector<replica::DirtyMark> marks) {
  handoff_.MarkDirty(std::move(marks), [](const base::Status&) {});
}

AntiEntropy::Ports Healing::AntiEntropyPorts() {
  AntiEntropy::Ports ports;
  ports.push = [this](wire::RecordPush push, BodyDone done) {
    handoff_.Join(std::move(push), std::move(done));
  };
  ports.marks = &marks_;
  ports.passed = [this](const repair::ExchangePair& pair, base::Instant began) {
    doubts_.OnPassed(pair, began);
  };
  return ports;
}

Sweeper::Ports Healing::SweeperPorts() {
  Sweeper::Ports ports;
  ports.find_hinted = [this](const std::vector<std::string>& keys, Handoff::KeysDone found) {
    // A comparison may be about to write an old state just as a hint may.
    std::vector<std::string> in_hand;
    for (const std::string& key : keys) {
      if (anti_entropy_.IsInHand(key)) in_hand.push_back(key);
    }
    handoff_.FindHinted(keys, [in_hand = std::move(in_hand), found = std::move(found)](
                                  base::Result<std::vector<std::string>> hinted) mutable {
      if (hinted) hinted->insert(hinted->end(), in_hand.begin(), in_hand.end());
      found(std::move(hinted));
    });
  };
  ports.join = [this](wire::RecordPush push, BodyDone done) {
    handoff_.Join(std::move(push), std::move(done));
  };
  ports.past = ports_.past;
  ports.unclean = [this] {
    const std::string doubt = doubts_.Why();
    return doubt.empty() ? ports_.unclean() : doubt;
  };
  return ports;
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
    return sweeper_.Serve(std::move(*hints), ReplyOf<wire::HintsReply>(std::move(done)));
  }
  if (auto* sweep = std::get_if<wire::SweepRequest>(&request)) {
    return sweeper_.Serve(std::move(*sweep), ReplyOf<wire::SweepReply>(std::move(done)));
  }
  const auto* fetch = std::get_if<wire::FetchRequest>(&request);
  if (fetch != nullptr && fetch->certain && doubts_.InDoubt()) {
    return done(Refuse(request, {Code::kUnavailable, std::string(replica::kInDoubt)}));
  }
  anti_entropy_.Serve(std::move(request), std::move(done));
}

void Healing::Repair(coordinator::RepairRequest request, coordinator::TicketDone done) {
  done(anti_entropy_.Repair(request));
}

void Healing::Status(coordinator::AdminService::RepairStatusDone done) {
  coordinator::RepairStatus status;
  handoff_.FillStatus(&status);
  anti_entropy_.FillStatus(&status);
  doubts_.FillStatus(&status.ranges);
  sweeper_.FillStatus(&status.sweep);
  scrubber_.FillStatus(&status.scrub);
  done(std::move(status));
}

}  // namespace lariat::healing
