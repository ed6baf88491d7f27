// SPDX-License-Identifier: Apache-2.0
#include "coordinator/coordinator.h"

#include <utility>

#include "coordinator/internal/forwards.h"
#include "coordinator/pages/estimate.h"

namespace lariat::coordinator {

Coordinator::Coordinator(env::Env env, const config::Settings& settings, ReplicaPort& replicas,
                         ClusterPort& cluster, telemetry::Metrics& metrics)
    : context_(env, settings, replicas, cluster, metrics),
      admission_(context_),
      buckets_(context_),
      reads_(context_),
      flights_(context_, admission_, reads_),
      covering_(context_, flights_),
      pages_(context_, admission_,
             [this](GetRequest get, GetDone done) { ReadListed(std::move(get), std::move(done)); }),
      rounds_(context_),
      serial_reads_(context_, admission_, rounds_),
      writes_(context_, admission_, reads_, rounds_) {}

Coordinator::~Coordinator() { context_.Close(); }

void Coordinator::Tick(base::Instant now) {
  context_.Tick(now);
  reads_.Tick(now);
  writes_.Tick(now);
  flights_.Tick(now);
  covering_.Tick(now);
  pages_.Tick(now);
  rounds_.Tick(now);
  serial_reads_.Tick(now);
}

void Coordinator::OnForwarded(wire::ForwardedWrite request,
                              base::UniqueFunction<void(wire::ForwardedWriteReply)> done) {
  writes_.Start(RequestOf(std::move(request)), /*forwarded=*/true,
                [done = std::move(done)](base::Result<WriteReply> reply) mutable {
                  done(MessageOf(std::move(reply)));
                });
}

GetDone Coordinator::Noting(const GetRequest& request, GetDone done) {
  return [this, home = context_.home(), bucket = request.bucket, key = request.key,
          done = std::move(done)](base::Result<GetReply> reply) mutable {
    if (!home.expired() && reply) {
      telemetry::HotNote note;
      for (const ShownValue& value : reply->values) note.bytes += value.bytes.size();
      note.size = note.bytes;
      note.conflict = reply->values.size() > 1;
      note.miss = reply->values.empty();
      hot_.Note(context_.clock().Now(), bucket, key, note);
    }
    done(std::move(reply));
  };
}

WriteDone Coordinator::Noting(const WriteRequest& request, WriteDone done) {
  return [this, home = context_.home(), bucket = request.bucket, key = request.key,
          bytes = request.write.value.size(),
          done = std::move(done)](base::Result<WriteReply> reply) mutable {
    if (!home.expired() && reply) {
      hot_.Note(context_.clock().Now(), bucket, key, {bytes, bytes});
    }
    done(std::move(reply));
  };
}

void Coordinator::Get(GetRequest request, GetDone done) {
  if (hot_.Sampled()) done = Noting(request, std::move(done));
  if (serial_reads_.Serves(request.bucket)) {
    return serial_reads_.Get(std::move(request), std::move(done));
  }
  if (request.confirm) {
    return done(base::Fail(base::Code::kInvalidArgument, "confirm is for serial buckets only"));
  }
  covering_.Get(std::move(request), std::move(done));
}

void Coordinator::Write(WriteRequest request, WriteDone done) {
  if (hot_.Sampled()) done = Noting(request, std::move(done));
  writes_.Start(std::move(request), /*forwarded=*/false, std::move(done));
}

void Coordinator::ReadListed(GetRequest request, GetDone done) {
  if (!serial_reads_.Serves(request.bucket)) {
    return flights_.Get(std::move(request), std::move(done));
  }
  // The list's level says how many are asked for a page; such a key knows one level alone.
  Consistency consistency;
  consistency.timeout_ms = request.consistency.timeout_ms;
  request.consistency = consistency;
  serial_reads_.Get(std::move(request), std::move(done));
}

void Coordinator::List(ListRequest request, ListDone done) {
  pages_.List(std::move(request), std::move(done));
}

void Coordinator::Estimate(EstimateRequest request, EstimateDone done) {
  EstimateBucket(pages_, std::move(request), std::move(done));
}

std::vector<membership::BucketProperties> Coordinator::Buckets() const { return buckets_.All(); }

base::Result<membership::BucketProperties> Coordinator::Bucket(const std::string& name) const {
  return buckets_.Find(name);
}

void Coordinator::SetBucket(membership::BucketProperties bucket, Caller /*caller*/,
                            StatusDone done) {
  buckets_.Set(std::move(bucket), std::move(done));
}

uint64_t Coordinator::ValueBytesMax() const {
  return static_cast<uint64_t>(context_.settings().limits_value_bytes);
}

}  // namespace lariat::coordinator
