// SPDX-License-Identifier: Apache-2.0
// The bodies of TestNode in coordinator_test_util.h.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "coordinator/coordinator_test_util.h"

namespace lariat::coordinator {

inline TestNode::TestNode(TestCluster& cluster, size_t own_index,
                          std::shared_ptr<const membership::View> first)
    : index(own_index),
      plan(&cluster.loop),
      replica({first->MemberAt(first->self).Number(), 100 + own_index,
               [&cluster] { return cluster.Next(); }, 1000},
              engine, cluster.loop, clock, metrics, telemetry::NullLog()),
      coordinator(cluster.env(), cluster.settings, *this, *this, metrics),
      cluster_(cluster) {
  clock.SetLimit(causal::HlcStamp::FromWallMs(int64_t{1} << 47));
  SetView(std::move(first));
}

template <typename Reply, typename Ask>
std::shared_ptr<Answer<Reply>> Answering(Ask ask) {
  auto answer = std::make_shared<Answer<Reply>>();
  ask([answer](base::Result<Reply> reply) {
    answer->value = std::move(reply);
    ++answer->times;
  });
  return answer;
}

inline GotPtr TestNode::Get(const std::string& key, Consistency consistency) {
  return Answering<GetReply>([&](auto done) {
    coordinator.Get({"default", key, consistency}, done);
  });
}

inline ListedPtr TestNode::List(ListRequest request) {
  if (request.bucket.empty()) request.bucket = "default";
  return Answering<ListReply>([&](auto done) { coordinator.List(std::move(request), done); });
}

inline WrotePtr TestNode::Put(WriteRequest request) {
  if (request.bucket.empty()) request.bucket = "default";
  return Answering<WriteReply>([&](auto done) { coordinator.Write(std::move(request), done); });
}

inline WrotePtr TestNode::Delete(WriteRequest request) {
  request.write.is_delete = true;
  return Put(std::move(request));
}

inline WrotePtr TestNode::Put(const std::string& key, const std::string& value,
                              std::optional<std::string> context) {
  WriteRequest request;
  request.key = key;
  request.write.value = value;
  request.write.context = std::move(context);
  return Put(std::move(request));
}

inline std::vector<std::string> TestNode::Values(const std::string& key) {
  const GotPtr got = Get(key);
  cluster_.RunAll();
  if (!got->ok()) return {"error " + got->value->error().message};
  std::vector<std::string> values;
  for (const ShownValue& value : (*got)->values) values.push_back(value.bytes);
  std::sort(values.begin(), values.end());
  return values;
}

inline causal::Object TestNode::Stored(const std::string& key) {
  wire::ReadRequest request;
  request.bucket = membership::BucketIdOf("default");
  request.token = ring::TokenOf(key).value;
  request.key = key;
  auto object = std::make_shared<std::string>();
  LocalRead(request, [object](wire::ReadReply reply) { *object = std::move(reply.object); });
  cluster_.RunAll();
  if (object->empty()) return causal::Object(causal::Kind::kSiblings);
  return causal::Object::Decode(*object).value();
}

inline void TestNode::Keep(const std::string& key, std::string object) {
  LocalWrite({membership::BucketIdOf("default"), ring::TokenOf(key).value, key, std::move(object),
              1, false, "", ""},
             [](const wire::WriteReply&) {});
}

template <typename Reply, typename Done>
bool TestNode::Refuses(uint64_t asked, Done& done) {
  if (asked == fence) return false;
  metrics.replica_stale.Add();
  Reply reply;
  reply.outcome = {base::Code::kStaleEpoch, "another topology"};
  done(std::move(reply));
  return true;
}

inline void TestNode::Read(const Destination& to, wire::ReadRequest&& request, ReadDone done) {
  const size_t at = IndexOf(to.view, to.node);
  TestNode& target = cluster_.node(at);
  auto serve = [&target, asked = to.view.fence(),
                request = std::move(request)](auto reply) mutable {
    if (target.Refuses<wire::ReadReply>(asked, reply)) return;
    target.LocalRead(std::move(request), std::move(reply));
  };
  if (at == index) return serve(std::move(done));
  cluster_.Send<wire::ReadReply>(index, at, Message::kRead, to.timeout, std::move(serve),
                                 std::move(done));
}

inline void TestNode::Write(const Destination& to, wire::WriteRequest&& request, WriteDone done) {
  const size_t at = IndexOf(to.view, to.node);
  TestNode& target = cluster_.node(at);
  auto serve = [&target, asked = to.view.fence(),
                request = std::move(request)](auto reply) mutable {
    if (target.Refuses<wire::WriteReply>(asked, reply)) return;
    target.LocalWrite(std::move(request), std::move(reply));
  };
  if (at == index) return serve(std::move(done));
  cluster_.Send<wire::WriteReply>(index, at, Message::kWrite, to.timeout, std::move(serve),
                                  std::move(done));
}

inline void TestNode::Scan(const Destination& to, wire::ScanRequest&& request, ScanDone done) {
  const size_t at = IndexOf(to.view, to.node);
  TestNode& target = cluster_.node(at);
  auto serve = [&target, asked = to.view.fence(),
                request = std::move(request)](auto reply) mutable {
    if (target.Refuses<wire::ScanReply>(asked, reply)) return;
    target.LocalScan(std::move(request), std::move(reply));
  };
  if (at == index) return serve(std::move(done));
  cluster_.Send<wire::ScanReply>(index, at, Message::kScan, to.timeout, std::move(serve),
                                 std::move(done));
}

inline void TestNode::LocalScan(wire::ScanRequest request, ScanDone done) {
  const std::string bucket = storage::DataKey(request.bucket, 0, "").substr(0, 4);
  replica::ScanQuery query;
  query.bucket = request.bucket;
  query.from = bucket + request.from;
  query.to = request.to.empty() ? storage::DataKey(request.bucket + 1, 0, "") : bucket + request.to;
  query.entries_max = request.entries_max;
  query.bytes_max = request.bytes_max;
  query.form = static_cast<replica::ScanForm>(request.form);
  query.now = cluster_.wall;
  replica.Scan(
      std::move(query), [] { return true; },
      [done = std::move(done)](base::Result<replica::ScanResult> result) mutable {
        wire::ScanReply reply;
        if (!result) {
          reply.outcome = wire::Outcome::From(result.error());
          return done(std::move(reply));
        }
        for (auto& entry : result->entries) {
          reply.entries.push_back(
              {entry.key.substr(4), entry.digest, entry.live, std::move(entry.object)});
        }
        if (!result->next.empty()) reply.next = result->next.substr(4);
        done(std::move(reply));
      });
}

inline void TestNode::Forward(const Destination& to, wire::ForwardedWrite request,
                              ForwardDone done) {
  const size_t at = IndexOf(to.view, to.node);
  EXPECT_NE(at, index);
  TestNode& target = cluster_.node(at);
  auto serve = [&target, asked = to.view.fence(),
                request = std::move(request)](auto reply) mutable {
    if (target.Refuses<wire::ForwardedWriteReply>(asked, reply)) return;
    target.coordinator.OnForwarded(std::move(request), std::move(reply));
  };
  cluster_.Send<wire::ForwardedWriteReply>(index, at, Message::kForward, to.timeout,
                                           std::move(serve), std::move(done));
}

inline void TestNode::Reconcile(std::shared_ptr<const membership::View> of, ring::NodeIndex node) {
  ++reconciles;
  const size_t other = IndexOf(*of, node);
  cluster_.loop.Post([this, other] {
    TestNode& peer = cluster_.node(other);
    if (mute || peer.mute) return;
    const bool newer = view->topology.epoch > peer.view->topology.epoch;
    const membership::Topology document = (newer ? view : peer.view)->topology;
    cluster_.SetTopology(newer ? other : index, document);
  });
}

inline void TestNode::UpdateHint(UpdateRequest from, UpdateDone updated, DurableDone durable) {
  const uint64_t own = view->MemberAt(view->self).Number();
  auto result = hints.Update(std::move(from), {own, 100 + index, cluster_.Next()});
  const bool made = result.has_value();
  updated(std::move(result));
  if (made) cluster_.loop.Post([durable = std::move(durable)]() mutable { durable({}); });
}

inline void TestNode::LocalRead(wire::ReadRequest request, ReadDone done) {
  if (request.hint_for != 0) return done(hints.Read(request));
  replica.Read({request.bucket, {request.token}, request.key},
               {request.digest_only, request.idempotency_key},
               [done = std::move(done)](base::Result<replica::ReadResult> result) mutable {
                 wire::ReadReply reply;
                 if (!result) {
                   reply.outcome = wire::Outcome::From(result.error());
                 } else {
                   reply.found = result->found;
                   reply.object = std::move(result->object);
                   reply.digest = result->digest;
                   reply.idempotency_answer = std::move(result->idempotency_answer);
                 }
                 done(std::move(reply));
               });
}

inline void TestNode::LocalWrite(wire::WriteRequest request, WriteDone done) {
  if (request.hint_for != 0) return done(hints.Write(request));
  auto answer = std::make_shared<replica::RegisterAnswer>();
  replica.Write({request.bucket, {request.token}, request.key}, request.object,
                {replica::AckWhen::kSynced, request.idempotency_key, request.idempotency_answer,
                 cluster_.wall, nullptr, true, request.repair, answer},
                [answer, done = std::move(done)](const base::Status& status) mutable {
                  wire::WriteReply reply;
                  if (!status) reply.outcome = wire::Outcome::From(status.error());
                  reply.standing = answer->standing;
                  reply.greater = answer->greater;
                  done(std::move(reply));
                });
}

inline void TestNode::Update(UpdateRequest&& from, UpdateDone updated, DurableDone durable) {
  if (from.fence != fence) {
    metrics.replica_stale.Add();
    UpdateResult refused;
    refused.stale = std::make_unique<UpdateRequest>(std::move(from));
    return updated(std::move(refused));
  }
  ++updates;
  if (from.hint_for != 0) {
    return UpdateHint(std::move(from), std::move(updated), std::move(durable));
  }
  replica::UpdateRequest to;
  to.key = {from.bucket, {from.token}, from.key};
  to.change = from.change;
  to.idempotency_key = from.idempotency_key;
  to.make_answer = [from](const causal::Object& object, const replica::UpdateResult& result) {
    return wire::EncodeWriteAnswer(
        {causal::EncodeContext(result.context, from.bucket_name, from.key), object.Version(),
         from.change.now.ms, result.shown});
  };
  replica.Update(
      std::move(to),
      [updated = std::move(updated)](base::Result<replica::UpdateResult> result) mutable {
        if (!result) return updated(base::Fail(result.error()));
        updated(UpdateResult{result->object, result->context, result->version,
                             result->idempotency_answer, result->replayed, nullptr,
                             result->standing, result->tell_when_durable, result->shown});
      },
      std::move(durable));
}

}  // namespace lariat::coordinator
