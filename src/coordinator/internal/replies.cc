// SPDX-License-Identifier: Apache-2.0
#include "coordinator/internal/replies.h"

#include <algorithm>
#include <utility>

#include "coordinator/plan.h"
#include "wire/codec.h"

namespace lariat::coordinator {

using base::Code;
using base::Fail;

GetReply ShowObject(const ReadResult& result, const GetRequest& request,
                    const membership::View& view, base::WallTime now) {
  GetReply reply;
  reply.replicas = {result.answered - result.fallbacks, result.fallbacks};
  const causal::Object& object = result.object;
  if (object.Empty()) return reply;
  reply.version = NameVersion(object.Version(), view);
  reply.context = causal::EncodeContext(object.WholeContext(), request.bucket, request.key);
  reply.kind = object.kind();
  const auto show = [&reply](causal::Value value, Version version) {
    reply.timestamp = std::max(reply.timestamp, value.written);
    reply.values.push_back({std::move(value.bytes), std::move(value.content_type), value.written,
                            value.expires_ms, std::move(version)});
  };
  if (causal::Merges(object.kind())) {
    if (auto merged = object.Merged(now)) show(std::move(*merged), reply.version);
    return reply;
  }
  for (const causal::ValueView& value : object.LiveValues(now)) {
    show(*value.value, NameVersion(object.VersionOf(value.dot), view));
  }
  return reply;
}

WriteReply NothingToDelete(const ReadResult& found, const UpdateRequest& update,
                           const membership::View& view) {
  WriteReply reply;
  reply.version = NameVersion(found.object.Version(), view);
  if (!found.object.Empty()) {
    reply.context = causal::EncodeContext(update.change.context, update.bucket_name, update.key);
  }
  reply.timestamp = update.change.now;
  reply.replicas = {found.answered - found.fallbacks, found.fallbacks};
  return reply;
}

Version SerialVersion(uint64_t version) { return {{"", version}}; }

std::string SerialContext(uint64_t version, const std::string& bucket, const std::string& key) {
  if (version == 0) return "";
  return causal::EncodeContext({{}, {version}, 0}, bucket, key);
}

base::Result<WriteReply> SerialReply(base::Result<serial::Outcome> result,
                                     const WriteRequest& request) {
  if (!result) return Fail(std::move(result.error()));
  if (result->kind == serial::Outcome::Kind::kTooManyIds) {
    return Fail(Code::kOverloaded, "the key remembers " + std::to_string(serial::kAnswersMax) +
                                       " Idempotency-Keys of the last 24 hours, and no more");
  }
  if (result->kind == serial::Outcome::Kind::kLost) {
    base::Error error{Code::kPreconditionFailed, "the condition does not hold"};
    base::Winner winner{result->version, std::nullopt};
    if (result->value) winner.value = std::move(result->value->bytes);
    error.winner = std::make_shared<const base::Winner>(std::move(winner));
    return Fail(std::move(error));
  }
  WriteReply reply;
  reply.version = SerialVersion(result->version);
  reply.context = SerialContext(result->version, request.bucket, request.key);
  reply.timestamp = {result->written_ms};
  reply.replicas.primaries = result->replicas;
  reply.replayed = result->replayed;
  return reply;
}

base::Result<WriteReply> ReplayedReply(const std::string& answer, const membership::View& view) {
  auto decoded = wire::DecodeWriteAnswer(answer);
  if (!decoded) {
    return Fail(Code::kCorruption, "the recorded answer of an earlier request is malformed");
  }
  WriteReply reply;
  reply.version = NameVersion(decoded->version, view);
  reply.context = std::move(decoded->context);
  reply.timestamp = {decoded->written_ms};
  reply.shown = std::move(decoded->shown);
  reply.replayed = true;
  return reply;
}

}  // namespace lariat::coordinator
