// SPDX-License-Identifier: Apache-2.0
#include "sim/world/describe.h"

#include <fmt/format.h>

#include "storage/record.h"

namespace lariat::sim {
namespace {

std::string Ending(const wire::Outcome& outcome) {
  if (outcome.ok()) return "ok";
  return fmt::format("{} ({})", base::CodeName(outcome.code), outcome.error);
}

std::string KeyOf(const std::string& data_key) {
  const auto parts = storage::ParseDataKey(data_key);
  return parts ? std::string(parts->key) : "?";
}

// The first of several keys.
std::string_view FirstKey(const std::string& data_key) {
  const auto parts = storage::ParseDataKey(data_key);
  return parts ? parts->key : std::string_view();
}

struct Words {
  std::string operator()(const wire::ReadRequest& m) const {
    return fmt::format("read {}{}", m.key, m.digest_only ? " (digest)" : "");
  }
  std::string operator()(const wire::ReadReply& m) const {
    const std::string what = !m.found ? "absent" : DescribeObject(m.object);
    return fmt::format("read reply {} digest {:x}: {}{}", Ending(m.outcome), m.digest.low >> 40,
                       what, m.idempotency_answer.empty() ? "" : " with an earlier answer");
  }
  std::string operator()(const wire::WriteRequest& m) const {
    return fmt::format("{} {}: {}", m.repair ? "write back" : "write", m.key,
                       DescribeObject(m.object));
  }
  std::string operator()(const wire::WriteReply& m) const {
    return "write reply " + Ending(m.outcome);
  }
  std::string operator()(const wire::ForwardedWrite& m) const {
    return fmt::format("forwarded {} {} = {}", m.write.is_delete ? "delete" : "put", m.key,
                       m.write.value);
  }
  std::string operator()(const wire::ForwardedWriteReply& m) const {
    return fmt::format("forward reply {} primaries {}", Ending(m.outcome), m.primaries);
  }
  std::string operator()(const wire::Heartbeat&) const { return "heartbeat"; }
  std::string operator()(const wire::HeartbeatReply&) const { return "heartbeat reply"; }
  std::string operator()(const wire::JoinRequest&) const { return "join"; }
  std::string operator()(const wire::JoinReply& m) const {
    return "join reply " + Ending(m.outcome);
  }
  std::string operator()(const wire::DocumentPush&) const { return "document"; }
  std::string operator()(const wire::DocumentReply& m) const {
    return "document reply " + Ending(m.outcome);
  }
  std::string operator()(const wire::SealRequest&) const { return "seal"; }
  std::string operator()(const wire::TreeRequest& m) const {
    return fmt::format("hashes of {} spans?", m.spans.size());
  }
  std::string operator()(const wire::LeafRequest&) const { return "keys of a leaf?"; }
  std::string operator()(const wire::FetchRequest& m) const {
    std::string text = "fetch";
    for (const std::string& key : m.keys) text += " " + KeyOf(key);
    return text;
  }
  std::string operator()(const wire::RecordPush& m) const {
    std::string text = m.kind == wire::PushKind::kHint ? "hinted" : "repaired";
    for (const auto& e : m.entries) text += " " + KeyOf(e.key) + " " + DescribeObject(e.object);
    return text;
  }
  std::string operator()(const wire::RecordPushReply& m) const {
    return "push reply " + Ending(m.outcome);
  }
  std::string operator()(const wire::HintsRequest& m) const {
    std::string text = "hints for";
    for (const std::string& key : m.keys) text += " " + KeyOf(key);
    return text + "?";
  }
  std::string operator()(const wire::HintsReply& m) const {
    std::string text = "hints reply " + Ending(m.outcome) + " " + m.unclean;
    for (const std::string& key : m.hinted) text += " " + KeyOf(key);
    return text;
  }
  std::string operator()(const wire::SweepRequest& m) const {
    constexpr const char* kSteps[] = {"confirm", "purge", "fold"};
    std::string text = kSteps[static_cast<size_t>(m.step)];
    for (const auto& key : m.keys) text += " " + KeyOf(key.key);
    return text;
  }
  std::string operator()(const wire::SweepReply& m) const {
    std::string text = "sweep reply " + Ending(m.outcome);
    for (const wire::SweepState state : m.states)
      text += fmt::format(" {}", static_cast<int>(state));
    return text;
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "another message";
  }
};

}  // namespace

std::string_view SubjectOf(const wire::Envelope& envelope) {
  if (const auto* read = std::get_if<wire::ReadRequest>(&envelope.body)) return read->key;
  if (const auto* write = std::get_if<wire::WriteRequest>(&envelope.body)) return write->key;
  if (const auto* write = std::get_if<wire::ForwardedWrite>(&envelope.body)) return write->key;
  const auto* push = std::get_if<wire::RecordPush>(&envelope.body);
  if (push != nullptr && !push->entries.empty()) return FirstKey(push->entries[0].key);
  const auto* sweep = std::get_if<wire::SweepRequest>(&envelope.body);
  if (sweep != nullptr && !sweep->keys.empty()) return FirstKey(sweep->keys[0].key);
  return {};
}

std::string Describe(const wire::Envelope& envelope) {
  return fmt::format("[{:x}] {}", envelope.id & 0xffffff, std::visit(Words{}, envelope.body));
}

std::string Describe(const causal::Object& object) {
  if (const causal::LwwRegister* lww = object.lww()) {
    return fmt::format("{{{}@{}.{}/{:x}}}", lww->value.tombstone ? "tombstone" : lww->value.bytes,
                       lww->stamp.WallMs(), lww->stamp.packed & 0xffff, lww->node >> 48);
  }
  std::string text = "{";
  for (const causal::DottedValue& v : object.dvv()->values()) {
    text += fmt::format("{}{}@({:x}.{:x}.{},{})", text.size() > 1 ? " " : "",
                        v.value.tombstone ? "tombstone" : v.value.bytes, v.dot.actor.node >> 48,
                        v.dot.actor.incarnation >> 48, v.dot.actor.mint, v.dot.counter);
  }
  text += " |";
  for (const causal::DotSet::Entry& e : object.dvv()->history().entries()) {
    text += fmt::format(" {:x}.{:x}.{}:{}", e.actor.node >> 48, e.actor.incarnation >> 48,
                        e.actor.mint, e.base);
    for (const uint64_t counter : e.cloud) text += fmt::format("+{}", counter);
  }
  return text + "}";
}

std::string DescribeObject(std::string_view encoded) {
  if (encoded.empty()) return "(no data)";
  auto object = causal::Object::Decode(encoded);
  return object ? Describe(*object) : "(malformed)";
}

}  // namespace lariat::sim
