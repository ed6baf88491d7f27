// SPDX-License-Identifier: Apache-2.0
#include "wire/codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "base/coding.h"
#include "base/hash.h"
#include "messages.pb.h"
#include "wire/internal/repair_codec.h"

namespace lariat::wire {
namespace {

constexpr uint32_t kCodeMax = static_cast<uint32_t>(base::Code::kClockOff);

// For nodes that do not know the code, and would take the message for damaged.
base::Code EarlierCode(base::Code code) {
  if (code == base::Code::kObjectTooLarge) return base::Code::kTooLarge;
  return code == base::Code::kClockOff ? base::Code::kUnavailable : code;
}

void Put(Outcome&& from, pb::Outcome* to) {
  const base::Code earlier = EarlierCode(from.code);
  to->set_code(static_cast<uint32_t>(earlier));
  if (earlier != from.code) to->set_exact(static_cast<uint32_t>(from.code));
  if (!from.error.empty()) to->set_error(std::move(from.error));
  to->set_needed(from.needed);
  to->set_alive(from.alive);
}

void PutUuid(const base::Uuid& from, pb::Uuid* to) {
  to->set_high(from.high);
  to->set_low(from.low);
}

base::Uuid TakeUuid(const pb::Uuid& from) { return {from.high(), from.low()}; }

template <typename Pb>
void PutLimits(const Limits& from, Pb* to) {
  to->set_frame_bytes(from.frame_bytes);
  to->set_message_bytes(from.message_bytes);
}

// Encoding: one overload per body. A reply that is ok leaves its outcome out.
void Put(std::monostate, pb::Envelope*) {}
void Put(Hello&& from, pb::Envelope* to) {
  auto* m = to->mutable_hello();
  m->set_protocol(from.protocol);
  PutUuid(from.node, m->mutable_node());
  PutUuid(from.cluster, m->mutable_cluster());
  m->set_name(std::move(from.name));
  m->set_peer_address(std::move(from.peer_address));
  m->set_shard(from.shard);
  PutLimits(from.limits, m);
  m->set_run(from.run);
  m->set_base_confirmed(from.base.confirmed);
  m->set_base_written(from.base.written);
  m->set_base_votes(from.base.votes);
  m->set_phase(static_cast<uint32_t>(from.phase));
}
void Put(HelloReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_hello_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  m->set_protocol(from.protocol);
  PutUuid(from.node, m->mutable_node());
  PutUuid(from.cluster, m->mutable_cluster());
  m->set_name(std::move(from.name));
  PutLimits(from.limits, m);
  m->set_run(from.run);
  m->set_phase(static_cast<uint32_t>(from.phase));
  m->set_base_confirmed(from.base.confirmed);
  m->set_base_written(from.base.written);
  m->set_base_votes(from.base.votes);
  m->set_known_confirmed(from.known.confirmed);
  m->set_known_written(from.known.written);
  m->set_known_votes(from.known.votes);
  m->set_other_address(std::move(from.other_address));
  m->set_other_age_ms(from.other_age_ms);
}
void Put(ReadRequest&& from, pb::Envelope* to) {
  auto* m = to->mutable_read();
  m->set_bucket(from.bucket);
  m->set_token(from.token);
  m->set_key(std::move(from.key));
  m->set_digest_only(from.digest_only);
  if (!from.idempotency_key.empty()) m->set_idempotency_key(std::move(from.idempotency_key));
  m->set_hint_for(from.hint_for);
}
void Put(ReadReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_read_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  m->set_found(from.found);
  if (!from.object.empty()) m->set_object(std::move(from.object));
  m->set_digest_high(from.digest.high);
  m->set_digest_low(from.digest.low);
  if (!from.idempotency_answer.empty()) {
    m->set_idempotency_answer(std::move(from.idempotency_answer));
  }
}
void Put(WriteRequest&& from, pb::Envelope* to) {
  auto* m = to->mutable_write();
  m->set_bucket(from.bucket);
  m->set_token(from.token);
  m->set_key(std::move(from.key));
  m->set_object(std::move(from.object));
  m->set_durability(from.durability);
  m->set_repair(from.repair);
  if (!from.idempotency_key.empty()) {
    m->set_idempotency_key(std::move(from.idempotency_key));
    m->set_idempotency_answer(std::move(from.idempotency_answer));
  }
  m->set_hint_for(from.hint_for);
}
void Put(WriteReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_write_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  if (from.standing == causal::Standing::kHeld) return;
  m->set_standing(static_cast<uint32_t>(from.standing));
  m->set_greater(from.greater.packed);
}
void Put(ForwardedWrite&& from, pb::Envelope* to) {
  auto* m = to->mutable_forwarded_write();
  causal::ClientWrite& write = from.write;
  m->set_is_delete(write.is_delete);
  m->set_bucket(std::move(from.bucket));
  m->set_key(std::move(from.key));
  m->set_value(std::move(write.value));
  m->set_content_type(std::move(write.content_type));
  if (write.context) m->set_context(std::move(*write.context));
  if (write.ttl_s) m->set_ttl_s(*write.ttl_s);
  if (write.client_timestamp_ms) m->set_client_timestamp_ms(*write.client_timestamp_ms);
  if (write.if_match) m->set_if_match(std::move(*write.if_match));
  m->set_if_none_match_any(write.if_none_match_any);
  m->set_idempotency_key(std::move(from.idempotency_key));
  m->set_w(from.w);
  m->set_pw(from.pw);
  m->set_timeout_ms(static_cast<uint64_t>(from.timeout_ms));
  m->set_sloppy(from.sloppy);
}
void Put(ForwardedWriteReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_forwarded_write_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  for (const auto& [node, events] : from.version) (*m->mutable_version())[node] = events;
  m->set_context(std::move(from.context));
  m->set_written_ms(from.written_ms);
  m->set_primaries(from.primaries);
  m->set_fallbacks(from.fallbacks);
  m->set_replayed(from.replayed);
}
template <typename Beat>
void PutBeat(const Beat& from, pb::Heartbeat* m) {
  m->set_wall_ms(from.wall_ms);
}
void Put(Heartbeat&& from, pb::Envelope* to) { PutBeat(from, to->mutable_heartbeat()); }
void Put(HeartbeatReply&& from, pb::Envelope* to) { PutBeat(from, to->mutable_heartbeat_reply()); }
void Put(JoinRequest&& from, pb::Envelope* to) {
  auto* m = to->mutable_join();
  m->set_member(std::move(from.member));
  m->set_expected(from.expected);
  m->set_replaces(std::move(from.replaces));
  if (!from.founder.IsNil()) PutUuid(from.founder, m->mutable_founder());
  if (!from.cluster.IsNil()) PutUuid(from.cluster, m->mutable_cluster());
}
void Put(JoinReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_join_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  m->set_document(std::move(from.document));
  m->set_ask_instead(std::move(from.ask_instead));
}
void Put(DocumentPush&& from, pb::Envelope* to) {
  to->mutable_document_push()->set_document(std::move(from.document));
}
void Put(DocumentReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_document_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  m->set_document(std::move(from.document));
}
void Put(SealRequest&&, pb::Envelope* to) { to->mutable_seal(); }

void PutBallot(const consensus::Ballot& from, pb::Ballot* to) {
  to->set_counter(from.counter);
  to->set_node(from.node);
  to->set_incarnation(from.incarnation);
}
void Put(RegisterRequest&& from, pb::Envelope* to) {
  auto* m = to->mutable_register_request();
  m->set_accept(from.accept);
  m->set_epoch(from.epoch);
  m->set_base(std::move(from.base));
  PutBallot(from.ballot, m->mutable_ballot());
  m->set_value(std::move(from.value));
}
void Put(RegisterReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_register_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  m->set_ok(from.ok);
  PutBallot(from.seen, m->mutable_seen());
  PutBallot(from.accepted, m->mutable_accepted());
  m->set_value(std::move(from.value));
  m->set_decided(std::move(from.decided));
}
void Put(Gossip&& from, pb::Envelope* to) {
  to->mutable_gossip()->set_payload(std::move(from.payload));
  to->mutable_gossip()->set_is_ack2(from.is_ack2);
}
void Put(GossipReply&& from, pb::Envelope* to) {
  to->mutable_gossip_reply()->set_payload(std::move(from.payload));
}
void Put(ProgressRequest&&, pb::Envelope* to) { to->mutable_progress(); }
void Put(ProgressReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_progress_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  m->set_fence(from.fence);
  m->set_change(from.change);
  m->set_ranges_done(from.ranges_done);
  m->set_ranges_total(from.ranges_total);
  m->set_bytes_done(from.bytes_done);
  m->set_keys_done(from.keys_done);
  m->set_trouble(std::move(from.trouble));
}
void Put(RangePull&& from, pb::Envelope* to) {
  auto* m = to->mutable_range_pull();
  m->set_change(from.change);
  m->set_bucket(from.bucket);
  m->set_from_token(from.from_token);
  m->set_to_token(from.to_token);
  m->set_after_key(std::move(from.after_key));
  m->set_bytes_max(from.bytes_max);
}
void Put(RangePage&& from, pb::Envelope* to) {
  auto* m = to->mutable_range_page();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  for (RangePage::Entry& entry : from.entries) {
    auto* e = m->add_entries();
    e->set_key(std::move(entry.key));
    e->set_object(std::move(entry.object));
  }
  m->set_last_key(std::move(from.last_key));
  m->set_done(from.done);
  m->set_checksum(from.checksum);
}

// The messages of repair_messages.h.
void Put(TreeRequest&& from, pb::Envelope* to) {
  internal::PutBody(std::move(from), to->mutable_tree());
}
void Put(TreeReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_tree_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  internal::PutBody(std::move(from), m);
}
void Put(LeafRequest&& from, pb::Envelope* to) {
  internal::PutBody(std::move(from), to->mutable_leaf());
}
void Put(LeafReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_leaf_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  internal::PutBody(std::move(from), m);
}
void Put(FetchRequest&& from, pb::Envelope* to) {
  internal::PutBody(std::move(from), to->mutable_fetch());
}
void Put(FetchReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_fetch_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  internal::PutBody(std::move(from), m);
}
void Put(RecordPush&& from, pb::Envelope* to) {
  internal::PutBody(std::move(from), to->mutable_push());
}
void Put(HintsRequest&& from, pb::Envelope* to) {
  internal::PutBody(std::move(from), to->mutable_hints());
}
void Put(HintsReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_hints_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  internal::PutBody(std::move(from), m);
}
void Put(SweepRequest&& from, pb::Envelope* to) {
  internal::PutBody(std::move(from), to->mutable_sweep());
}
void Put(SweepReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_sweep_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
  internal::PutBody(std::move(from), m);
}
void Put(RecordPushReply&& from, pb::Envelope* to) {
  auto* m = to->mutable_push_reply();
  if (!from.outcome.ok()) Put(std::move(from.outcome), m->mutable_outcome());
}
void Put(Refused&& from, pb::Envelope* to) {
  Put(std::move(from.outcome), to->mutable_refused()->mutable_outcome());
}

// Decoding: one overload per message. False: the message is not valid.
bool Take(const pb::Outcome& from, Outcome* to) {
  if (from.code() > kCodeMax) return false;
  const bool exact = from.exact() > 0 && from.exact() <= kCodeMax;
  const auto code = static_cast<base::Code>(exact ? from.exact() : from.code());
  *to = {code, from.error(), from.needed(), from.alive()};
  return true;
}
// What is not known yet counts as what is none of the others.
RunPhase PhaseOf(uint32_t number) {
  const bool known = number <= static_cast<uint32_t>(RunPhase::kAside);
  return known ? static_cast<RunPhase>(number) : RunPhase::kStarting;
}
Hello Take(pb::Hello* m) {
  return {m->protocol(),
          TakeUuid(m->node()),
          TakeUuid(m->cluster()),
          std::move(*m->mutable_name()),
          std::move(*m->mutable_peer_address()),
          m->shard(),
          {m->frame_bytes(), m->message_bytes()},
          m->run(),
          {m->base_confirmed(), m->base_written(), m->base_votes()},
          PhaseOf(m->phase())};
}
HelloReply Take(pb::HelloReply* m) {
  return {{},
          m->protocol(),
          TakeUuid(m->node()),
          TakeUuid(m->cluster()),
          std::move(*m->mutable_name()),
          {m->frame_bytes(), m->message_bytes()},
          m->run(),
          PhaseOf(m->phase()),
          {m->base_confirmed(), m->base_written(), m->base_votes()},
          {m->known_confirmed(), m->known_written(), m->known_votes()},
          std::move(*m->mutable_other_address()),
          m->other_age_ms()};
}
ReadRequest Take(pb::ReadRequest* m) {
  return {m->bucket(),
          m->token(),
          std::move(*m->mutable_key()),
          m->digest_only(),
          std::move(*m->mutable_idempotency_key()),
          m->hint_for()};
}
ReadReply Take(pb::ReadReply* m) {
  return {{},
          m->found(),
          std::move(*m->mutable_object()),
          {m->digest_high(), m->digest_low()},
          std::move(*m->mutable_idempotency_answer())};
}
WriteRequest Take(pb::WriteRequest* m) {
  return {m->bucket(),
          m->token(),
          std::move(*m->mutable_key()),
          std::move(*m->mutable_object()),
          static_cast<uint8_t>(m->durability()),
          m->repair(),
          std::move(*m->mutable_idempotency_key()),
          std::move(*m->mutable_idempotency_answer()),
          m->hint_for()};
}
WriteReply Take(pb::WriteReply* m) {
  // What a later version may say is no promise that this one knows.
  const uint32_t standing =
      std::min(m->standing(), static_cast<uint32_t>(causal::Standing::kUnsure));
  return {{}, static_cast<causal::Standing>(standing), {m->greater()}};
}
RecordPushReply Take(pb::RecordPushReply*) { return {}; }
Refused Take(pb::Refused*) { return {}; }
ForwardedWrite Take(pb::ForwardedWrite* m) {
  ForwardedWrite to;
  causal::ClientWrite& write = to.write;
  write.is_delete = m->is_delete();
  to.bucket = std::move(*m->mutable_bucket());
  to.key = std::move(*m->mutable_key());
  write.value = std::move(*m->mutable_value());
  write.content_type = std::move(*m->mutable_content_type());
  if (m->has_context()) write.context = std::move(*m->mutable_context());
  if (m->has_ttl_s()) write.ttl_s = m->ttl_s();
  if (m->has_client_timestamp_ms()) write.client_timestamp_ms = m->client_timestamp_ms();
  if (m->has_if_match()) write.if_match = std::move(*m->mutable_if_match());
  write.if_none_match_any = m->if_none_match_any();
  to.idempotency_key = std::move(*m->mutable_idempotency_key());
  to.w = m->w();
  to.pw = m->pw();
  to.timeout_ms = static_cast<int64_t>(std::min<uint64_t>(m->timeout_ms(), INT32_MAX));
  to.sloppy = m->sloppy();
  return to;
}
ForwardedWriteReply Take(pb::ForwardedWriteReply* m) {
  ForwardedWriteReply to;
  for (const auto& [node, events] : m->version()) to.version[node] = events;
  to.context = std::move(*m->mutable_context());
  to.written_ms = m->written_ms();
  to.primaries = m->primaries();
  to.fallbacks = m->fallbacks();
  to.replayed = m->replayed();
  return to;
}
JoinRequest Take(pb::JoinRequest* m) {
  return {std::move(*m->mutable_member()), m->expected(), std::move(*m->mutable_replaces()),
          TakeUuid(m->founder()), TakeUuid(m->cluster())};
}
JoinReply Take(pb::JoinReply* m) {
  return {{}, std::move(*m->mutable_document()), std::move(*m->mutable_ask_instead())};
}
DocumentPush Take(pb::DocumentPush* m) { return {std::move(*m->mutable_document())}; }
DocumentReply Take(pb::DocumentReply* m) { return {{}, std::move(*m->mutable_document())}; }
consensus::Ballot TakeBallot(const pb::Ballot& m) {
  return {m.counter(), m.node(), m.incarnation()};
}
RegisterRequest Take(pb::RegisterRequest* m) {
  return {m->accept(), m->epoch(), std::move(*m->mutable_base()), TakeBallot(m->ballot()),
          std::move(*m->mutable_value())};
}
RegisterReply Take(pb::RegisterReply* m) {
  return {{},
          m->ok(),
          TakeBallot(m->seen()),
          TakeBallot(m->accepted()),
          std::move(*m->mutable_value()),
          std::move(*m->mutable_decided())};
}
ProgressReply Take(pb::ProgressReply* m) {
  return {{},
          m->fence(),
          m->change(),
          m->ranges_done(),
          m->ranges_total(),
          m->bytes_done(),
          m->keys_done(),
          std::move(*m->mutable_trouble())};
}
RangePull Take(pb::RangePull* m) {
  return {m->change(),
          m->bucket(),
          m->from_token(),
          m->to_token(),
          std::move(*m->mutable_after_key()),
          m->bytes_max()};
}
RangePage Take(pb::RangePage* m) {
  RangePage to;
  to.entries.reserve(static_cast<size_t>(m->entries_size()));
  for (pb::RangePage::Entry& entry : *m->mutable_entries()) {
    to.entries.push_back({std::move(*entry.mutable_key()), std::move(*entry.mutable_object())});
  }
  to.last_key = std::move(*m->mutable_last_key());
  to.done = m->done();
  to.checksum = m->checksum();
  return to;
}

template <typename Pb>
bool TakeReply(Pb* m, Body* body) {
  auto reply = Take(m);
  if (m->has_outcome() && !Take(m->outcome(), &reply.outcome)) return false;
  *body = std::move(reply);
  return true;
}

// The messages of repair_messages.h.
template <typename Value, typename Pb>
bool TakeRepairRequest(Pb* m, Body* body) {
  return internal::TakeBody(m, &body->emplace<Value>());
}
template <typename Value, typename Pb>
bool TakeRepairReply(Pb* m, Body* body) {
  Value& reply = body->emplace<Value>();
  if (m->has_outcome() && !Take(m->outcome(), &reply.outcome)) return false;
  return internal::TakeBody(m, &reply);
}
bool TakeRepair(pb::Envelope* m, Body* body) {
  switch (m->body_case()) {
    case pb::Envelope::kTree:
      return TakeRepairRequest<TreeRequest>(m->mutable_tree(), body);
    case pb::Envelope::kTreeReply:
      return TakeRepairReply<TreeReply>(m->mutable_tree_reply(), body);
    case pb::Envelope::kLeaf:
      return TakeRepairRequest<LeafRequest>(m->mutable_leaf(), body);
    case pb::Envelope::kLeafReply:
      return TakeRepairReply<LeafReply>(m->mutable_leaf_reply(), body);
    case pb::Envelope::kFetch:
      return TakeRepairRequest<FetchRequest>(m->mutable_fetch(), body);
    case pb::Envelope::kFetchReply:
      return TakeRepairReply<FetchReply>(m->mutable_fetch_reply(), body);
    case pb::Envelope::kPush:
      return TakeRepairRequest<RecordPush>(m->mutable_push(), body);
    case pb::Envelope::kHints:
      return TakeRepairRequest<HintsRequest>(m->mutable_hints(), body);
    case pb::Envelope::kHintsReply:
      return TakeRepairReply<HintsReply>(m->mutable_hints_reply(), body);
    case pb::Envelope::kSweep:
      return TakeRepairRequest<SweepRequest>(m->mutable_sweep(), body);
    case pb::Envelope::kSweepReply:
      return TakeRepairReply<SweepReply>(m->mutable_sweep_reply(), body);
    case pb::Envelope::kPushReply:
      return TakeReply(m->mutable_push_reply(), body);
    case pb::Envelope::kRefused:
      return TakeReply(m->mutable_refused(), body);
    default:
      return false;
  }
}

// Requests and replies about keys. False also for every other kind of body.
bool TakeData(pb::Envelope* m, Body* body) {
  switch (m->body_case()) {
    case pb::Envelope::kHello:
      *body = Take(m->mutable_hello());
      return true;
    case pb::Envelope::kHelloReply:
      return TakeReply(m->mutable_hello_reply(), body);
    case pb::Envelope::kRead:
      *body = Take(m->mutable_read());
      return true;
    case pb::Envelope::kReadReply:
      return TakeReply(m->mutable_read_reply(), body);
    case pb::Envelope::kWrite:
      if (m->write().durability() < 1 || m->write().durability() > 3) return false;
      *body = Take(m->mutable_write());
      return true;
    case pb::Envelope::kWriteReply:
      return TakeReply(m->mutable_write_reply(), body);
    case pb::Envelope::kForwardedWrite:
      *body = Take(m->mutable_forwarded_write());
      return true;
    case pb::Envelope::kForwardedWriteReply:
      return TakeReply(m->mutable_forwarded_write_reply(), body);
    case pb::Envelope::kRangePull:
      *body = Take(m->mutable_range_pull());
      return true;
    case pb::Envelope::kRangePage:
      return TakeReply(m->mutable_range_page(), body);
    default:
      return TakeRepair(m, body);
  }
}

bool TakeBody(pb::Envelope* m, Body* body) {
  switch (m->body_case()) {
    case pb::Envelope::kHeartbeat:
      *body = Heartbeat{m->heartbeat().wall_ms()};
      return true;
    case pb::Envelope::kHeartbeatReply:
      *body = HeartbeatReply{m->heartbeat_reply().wall_ms()};
      return true;
    case pb::Envelope::kJoin:
      *body = Take(m->mutable_join());
      return true;
    case pb::Envelope::kJoinReply:
      return TakeReply(m->mutable_join_reply(), body);
    case pb::Envelope::kDocumentPush:
      *body = Take(m->mutable_document_push());
      return true;
    case pb::Envelope::kDocumentReply:
      return TakeReply(m->mutable_document_reply(), body);
    case pb::Envelope::kSeal:
      *body = SealRequest{};
      return true;
    case pb::Envelope::kRegisterRequest:
      *body = Take(m->mutable_register_request());
      return true;
    case pb::Envelope::kRegisterReply:
      return TakeReply(m->mutable_register_reply(), body);
    case pb::Envelope::kGossip:
      *body = Gossip{std::move(*m->mutable_gossip()->mutable_payload()), m->gossip().is_ack2()};
      return true;
    case pb::Envelope::kGossipReply:
      *body = GossipReply{std::move(*m->mutable_gossip_reply()->mutable_payload())};
      return true;
    case pb::Envelope::kProgress:
      *body = ProgressRequest{};
      return true;
    case pb::Envelope::kProgressReply:
      return TakeReply(m->mutable_progress_reply(), body);
    default:
      return TakeData(m, body);
  }
}

// For messages with maps, which otherwise come in an order that hangs on addresses: equal messages
// have equal bytes, so answers that are stored can be compared and simulated runs repeated.
void AppendWithSortedMaps(const google::protobuf::MessageLite& message, std::string* out) {
  const size_t start = out->size();
  const size_t size = message.ByteSizeLong();
  out->resize(start + size);
  google::protobuf::io::ArrayOutputStream array(out->data() + start, static_cast<int>(size));
  google::protobuf::io::CodedOutputStream coded(&array);
  coded.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&coded);
}

}  // namespace

void AppendEnvelope(Envelope envelope, std::string* out) {
  pb::Envelope m;
  m.set_id(envelope.id);
  m.set_epoch(envelope.epoch);
  std::visit([&m](auto&& body) { Put(std::move(body), &m); }, std::move(envelope.body));
  if (m.has_forwarded_write_reply()) return AppendWithSortedMaps(m, out);
  m.AppendToString(out);
}

std::string EncodeEnvelope(Envelope envelope) {
  std::string out;
  AppendEnvelope(std::move(envelope), &out);
  return out;
}

std::optional<Envelope> DecodeEnvelope(std::string_view bytes) {
  pb::Envelope m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  Envelope envelope{m.id(), m.epoch(), {}};
  if (!TakeBody(&m, &envelope.body)) return std::nullopt;
  return envelope;
}

Envelope RefusalInPlaceOf(Envelope reply, const base::Error& why) {
  const auto refuse = [&why](auto& body) {
    using Reply = std::remove_reference_t<decltype(body)>;
    if constexpr (std::is_same_v<Reply, RangePage>) {
      body.entries.clear();
      body.checksum = PageChecksum(body.entries);
      body.outcome = Outcome::From(why);
      // As records that cannot be read: what stands behind them is asked for.
      if (why.code == base::Code::kTooLarge) body.outcome.code = base::Code::kCorruption;
    } else if constexpr (requires { body.outcome; }) {
      body = Reply{};
      body.outcome = Outcome::From(why);
    }
  };
  std::visit(refuse, reply.body);
  return reply;
}

uint64_t PageChecksum(const std::vector<RangePage::Entry>& entries) {
  std::string hashes;
  base::ByteWriter w(&hashes);
  for (const RangePage::Entry& entry : entries) {
    w.U64(base::Hash64(entry.key));
    w.U64(base::Hash64(entry.object));
  }
  return base::Hash64(hashes);
}

std::string EncodeWriteAnswer(const WriteAnswer& answer) {
  pb::WriteAnswer m;
  m.set_context(answer.context);
  for (const auto& [node, events] : answer.version) (*m.mutable_version())[node] = events;
  m.set_written_ms(answer.written_ms);
  std::string bytes;
  AppendWithSortedMaps(m, &bytes);
  return bytes;
}

std::optional<WriteAnswer> DecodeWriteAnswer(std::string_view bytes) {
  pb::WriteAnswer m;
  if (!m.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  WriteAnswer answer{std::move(*m.mutable_context()), {}, m.written_ms()};
  for (const auto& [node, events] : m.version()) answer.version[node] = events;
  return answer;
}

}  // namespace lariat::wire
