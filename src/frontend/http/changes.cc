// SPDX-License-Identifier: Apache-2.0
// Changes of the cluster over HTTP: what runs and what waits, and the requests for them. A request
// is answered when the cluster has agreed on it; the data moves afterwards, and its task tells of
// that.
#include <initializer_list>
#include <string>
#include <utility>

#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/flat_json.h"
#include "frontend/http/internal/handlers.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using coordinator::ChangeRequest;
using coordinator::ChangeVerb;
using coordinator::ClusterPlan;
using coordinator::ClusterStatus;
using coordinator::NodeStatus;
using coordinator::OperationStatus;
using coordinator::PlannedChange;
using coordinator::TaskStatus;

constexpr size_t kNodeNameBytesMax = 256;
// As of the setting node.weight.
constexpr double kWeightMin = 0.01;
constexpr double kWeightMax = 100;

// --- what is shown -----------------------------------------------------------------------------

void WriteNode(JsonWriter& json, const NodeStatus& node) {
  json.BeginObject().Key("name").Text(node.name).Key("id").Text(node.id);
  json.Key("state").Text(node.state).Key("alive").Bool(node.alive);
  json.Key("draining").Bool(node.draining).Key("detector").Text(node.detector);
  json.Key("phi").Double(node.phi);
  json.Key("http").Text(node.http).Key("resp").Text(node.resp).Key("peer").Text(node.peer);
  json.Key("dc").Text(node.dc).Key("rack").Text(node.rack).Key("weight").Double(node.weight);
  json.Key("tokens").Uint(node.tokens).Key("owns").Double(node.owns);
  json.Key("data_bytes").Uint(node.data_bytes);
  if (node.clock_offset_ms) json.Key("clock_offset_ms").Int(*node.clock_offset_ms);
  json.Key("hints_pending_bytes")
      .Uint(node.hints_pending_bytes)
      .Key("twin")
      .Text(node.twin)
      .Key("self")
      .Bool(node.self)
      .EndObject();
}

void WriteOperation(JsonWriter& json, const std::optional<OperationStatus>& operation) {
  if (!operation) {
    json.Null();
    return;
  }
  const OperationStatus& o = *operation;
  json.BeginObject().Key("task").Uint(o.task).Key("kind").Text(o.kind).Key("node").Text(o.node);
  json.Key("phase").Text(o.phase).Key("started_ms").Int(o.started_ms);
  json.Key("ranges_done").Uint(o.ranges_done).Key("ranges_total").Uint(o.ranges_total);
  json.Key("bytes_done").Uint(o.bytes_done).Key("keys_done").Uint(o.keys_done);
  json.Key("bytes_total").Uint(o.bytes_total).Key("bytes_per_s").Double(o.bytes_per_s);
  json.Key("left_s");
  if (o.left_s) {
    json.Double(*o.left_s);
  } else {
    json.Null();
  }
  json.Key("waiting_for").Text(o.waiting_for).EndObject();
}

void WriteTask(JsonWriter& json, const TaskStatus& task) {
  json.BeginObject().Key("task").Uint(task.task).Key("kind").Text(task.kind);
  json.Key("node").Text(task.node).Key("state").Text(task.state);
  json.Key("asked_ms").Int(task.asked_ms).Key("ended_ms");
  if (task.ended_ms != 0) {
    json.Int(task.ended_ms);
  } else {
    json.Null();
  }
  json.Key("progress");
  WriteOperation(json, task.progress);
  json.EndObject();
}

void WritePlan(JsonWriter& json, const ClusterPlan& plan) {
  json.BeginObject().Key("changes").BeginArray();
  for (const PlannedChange& change : plan.changes) {
    json.BeginObject().Key("task").Uint(change.task).Key("kind").Text(change.kind);
    json.Key("node").Text(change.node).Key("state").Text(change.state);
    json.Key("phase").Text(change.phase).Key("asked_ms").Int(change.asked_ms).EndObject();
  }
  json.EndArray().Key("moves").BeginArray();
  for (const coordinator::PlannedMove& move : plan.moves) {
    json.BeginObject().Key("from").Text(move.from).Key("to").Text(move.to);
    json.Key("ranges").Uint(move.ranges).Key("share").Double(move.share);
    json.Key("bytes").Uint(move.bytes).EndObject();
  }
  json.EndArray().Key("owners").BeginArray();
  for (const coordinator::PlannedOwner& owner : plan.owners) {
    json.BeginObject().Key("node").Text(owner.node).Key("rack").Text(owner.rack);
    json.Key("before").Double(owner.before).Key("after").Double(owner.after).EndObject();
  }
  json.EndArray().Key("bytes").Uint(plan.bytes).Key("seconds").Double(plan.seconds);
  json.Key("why").Text(plan.why).EndObject();
}

// --- what is asked for -------------------------------------------------------------------------

// The members of a body, all of them known; an empty body has none.
base::Result<std::vector<JsonMember>> ReadMembers(const Request& request,
                                                  std::initializer_list<std::string_view> known) {
  if (request.body.empty()) return std::vector<JsonMember>();
  auto members = ParseFlatJson(request.body);
  if (!members) return members;
  for (const JsonMember& member : *members) {
    const bool is_known = std::find(known.begin(), known.end(), member.name) != known.end();
    if (!is_known) return Bad("unknown member '" + member.name + "'");
  }
  return members;
}

base::Status ReadMember(JsonMember& member, ChangeRequest& change) {
  if (member.name == "node") {
    auto node = TakeText(member);
    if (!node) return base::Fail(node.error());
    change.node = std::move(*node);
    if (change.node.empty() || change.node.size() > kNodeNameBytesMax) {
      return Bad("'node' must have 1 to 256 bytes");
    }
  } else if (member.name == "weight") {
    const auto weight = TakeNumber(member);
    if (!weight) return base::Fail(weight.error());
    if (*weight < kWeightMin || *weight > kWeightMax) return Bad("'weight' must be 0.01 to 100");
    change.weight = *weight;
  } else {
    const auto staged = TakeBool(member);
    if (!staged) return base::Fail(staged.error());
    change.staged = *staged;
  }
  return {};
}

base::Result<ChangeRequest> ReadChange(const Request& request, ChangeVerb verb) {
  const bool weighs = verb == ChangeVerb::kReweight;
  auto members = weighs ? ReadMembers(request, {"node", "weight", "staged"})
                        : ReadMembers(request, {"node", "staged"});
  if (!members) return base::Fail(std::move(members.error()));
  ChangeRequest change;
  change.verb = verb;
  for (JsonMember& member : *members) {
    if (auto read = ReadMember(member, change); !read) return base::Fail(std::move(read.error()));
  }
  if (change.node.empty()) return Bad("'node' is missing: the name or the id of a node");
  if (weighs && change.weight == 0) return Bad("'weight' is missing: a number from 0.01 to 100");
  return change;
}

void PostChange(Request& request, Exchange exchange, ChangeVerb verb) {
  if (RefuseQuery(request, exchange)) return;
  auto change = ReadChange(request, verb);
  if (!change) return exchange.Refuse(std::move(change.error()));
  change->caller = exchange.caller();
  exchange.shared().admin.RequestChange(
      std::move(*change),
      [exchange = std::move(exchange)](base::Result<coordinator::ChangeTicket> ticket) mutable {
        if (!ticket) return exchange.Refuse(std::move(ticket.error()));
        AnswerJson(exchange, 202, [&](JsonWriter& json) {
          json.BeginObject().Key("task").Uint(ticket->task).Key("started").Bool(ticket->started);
          json.Key("message").Text(ticket->message).EndObject();
        });
      });
}

// 200 and {"`done`": `value`} if it went well.
coordinator::StatusDone AnswerDone(Exchange exchange, std::string_view done, bool value = true) {
  return [exchange = std::move(exchange), done, value](base::Status status) mutable {
    if (!status) return exchange.Refuse(std::move(status.error()));
    AnswerJson(exchange, 200,
               [&](JsonWriter& json) { json.BeginObject().Key(done).Bool(value).EndObject(); });
  };
}

}  // namespace

void GetClusterStatus(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const ClusterStatus status = exchange.shared().admin.Status();
  AnswerJson(exchange, 200, [&](JsonWriter& json) {
    json.BeginObject().Key("cluster_id").Text(status.cluster_id).Key("epoch").Uint(status.epoch);
    json.Key("answered_by").Text(status.answered_by).Key("operation");
    WriteOperation(json, status.operation);
    json.Key("queued").Uint(status.queued).Key("nodes").BeginArray();
    for (const NodeStatus& node : status.nodes) WriteNode(json, node);
    json.EndArray().EndObject();
  });
}

void GetPlan(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const ClusterPlan plan = exchange.shared().admin.Plan();
  AnswerJson(exchange, 200, [&](JsonWriter& json) { WritePlan(json, plan); });
}

void ListTasks(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const std::vector<TaskStatus> tasks = exchange.shared().admin.Tasks();
  AnswerJson(exchange, 200, [&](JsonWriter& json) {
    json.BeginObject().Key("tasks").BeginArray();
    for (const TaskStatus& task : tasks) WriteTask(json, task);
    json.EndArray().EndObject();
  });
}

void GetTask(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto number = ParseCount(*request.task_segment);
  if (!number) return exchange.Refuse(BadRequest("a task is a whole number"));
  for (const TaskStatus& task : exchange.shared().admin.Tasks()) {
    if (task.task != static_cast<uint64_t>(*number)) continue;
    return AnswerJson(exchange, 200, [&](JsonWriter& json) { WriteTask(json, task); });
  }
  exchange.Refuse({Code::kNotFound, "no such task; only the last ones are remembered"});
}

void PostDecommission(Request& request, Exchange exchange) {
  PostChange(request, std::move(exchange), ChangeVerb::kDecommission);
}

void PostRemove(Request& request, Exchange exchange) {
  PostChange(request, std::move(exchange), ChangeVerb::kRemove);
}

void PostReweight(Request& request, Exchange exchange) {
  PostChange(request, std::move(exchange), ChangeVerb::kReweight);
}

void PostCommit(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {});
  if (!members) return exchange.Refuse(std::move(members.error()));
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.Commit(caller, AnswerDone(std::move(exchange), "committed"));
}

void PostCancel(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {"task"});
  if (!members) return exchange.Refuse(std::move(members.error()));
  uint64_t task = 0;
  if (!members->empty()) {
    const auto number = TakeCount(members->front());
    if (!number) return exchange.Refuse(std::move(number.error()));
    if (*number == 0) return exchange.Refuse(BadRequest("'task' must be 1 or more"));
    task = static_cast<uint64_t>(*number);
  }
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.Cancel(task, caller, AnswerDone(std::move(exchange), "cancelled"));
}

void PostDrain(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto members = ReadMembers(request, {"on"});
  if (!members) return exchange.Refuse(std::move(members.error()));
  if (members->empty()) return exchange.Refuse(BadRequest("'on' is missing: true or false"));
  const auto on = TakeBool(members->front());
  if (!on) return exchange.Refuse(std::move(on.error()));
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.admin.Drain(*on, caller, AnswerDone(std::move(exchange), "draining", *on));
}

}  // namespace lariat::frontend::http
