// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/message_size.h"

namespace lariat::repair {
namespace {

constexpr uint64_t kEnvelope = 40;  // frame, envelope and outcome
constexpr uint64_t kSpan = 20;
constexpr uint64_t kHash = 24;
constexpr uint64_t kKeyDigest = 22;  // beside the key
constexpr uint64_t kRecord = 8;      // beside key and object
constexpr uint64_t kKey = 3;         // likewise

uint64_t BytesOf(const wire::TreeRequest& body) { return body.spans.size() * kSpan; }
uint64_t BytesOf(const wire::TreeReply& body) { return body.hashes.size() * kHash; }
uint64_t BytesOf(const wire::LeafRequest& body) { return kSpan + body.after_key.size(); }
uint64_t BytesOf(const wire::LeafReply& body) {
  uint64_t bytes = body.last_key.size();
  for (const auto& entry : body.entries) bytes += entry.key.size() + kKeyDigest;
  return bytes;
}
uint64_t BytesOf(const wire::FetchRequest& body) {
  uint64_t bytes = 0;
  for (const auto& key : body.keys) bytes += key.size() + kKey;
  return bytes;
}
uint64_t BytesOf(const std::vector<wire::FetchReply::Entry>& entries) {
  uint64_t bytes = 0;
  for (const auto& entry : entries) bytes += entry.key.size() + entry.object.size() + kRecord;
  return bytes;
}
uint64_t BytesOf(const wire::FetchReply& body) { return BytesOf(body.entries); }
uint64_t BytesOf(const wire::RecordPush& body) { return BytesOf(body.entries); }
template <typename Other>
uint64_t BytesOf(const Other& /*body*/) {
  return 0;
}

}  // namespace

uint64_t MessageBytes(const wire::Body& body) {
  return kEnvelope + std::visit([](const auto& message) { return BytesOf(message); }, body);
}

}  // namespace lariat::repair
