// SPDX-License-Identifier: Apache-2.0
// What Redis has no words for: buckets, contexts, siblings, quorums, idempotency.
#include <utility>

#include "frontend/resp/internal/connection.h"
#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/keyspace.h"

namespace lariat::frontend::resp::commands {
namespace {

using coordinator::GetReply;
using coordinator::WriteReply;

// What stands behind bucket, key and value.
struct LariatOptions {
  std::optional<std::string> context, if_match, idempotency;
  std::optional<int64_t> r, w, ttl_s;
};

// An error's text, or empty. `allowed`: names, each between blanks.
std::string ParseLariat(Args args, std::string_view allowed, LariatOptions* options) {
  const auto number = [](std::string_view text, std::optional<int64_t>* to) {
    *to = ParseInt(text);
    return to->has_value();
  };
  for (size_t i = 0; i < args.size(); i += 2) {
    const std::string name = UpperCase(args[i].substr(0, 16));
    const bool known = allowed.find(" " + name + " ") != std::string_view::npos;
    if (!known || i + 1 == args.size()) {
      return "ERR invalid_argument expected" + std::string(allowed) + "with a value each, not '" +
             std::string(args[i].substr(0, 64)) + "'";
    }
    const std::string_view value = args[i + 1];
    bool good = true;
    if (name == "CONTEXT") options->context = value;
    if (name == "IFMATCH") options->if_match = value;
    if (name == "IDEMPOTENCY") options->idempotency = value;
    if (name == "R") good = number(value, &options->r);
    if (name == "W") good = number(value, &options->w);
    if (name == "TTL") good = number(value, &options->ttl_s);
    if (!good) return "ERR invalid_argument " + name + " is a number";
  }
  return {};
}

void WriteVersion(ReplyWriter& writer, const coordinator::Version& version) {
  if (coordinator::IsSerialVersion(version)) {
    writer.Int(static_cast<int64_t>(version.begin()->second));
    return;
  }
  writer.Map(version.size());
  for (const auto& [node, counter] : version) {
    writer.Bulk(node).Int(static_cast<int64_t>(counter));
  }
}

void AnswerGet(Call& call, const base::Result<GetReply>& result) {
  if (!call.shared().alive) return;
  if (!result) return call.Refuse(result.error());
  if (result->values.empty()) return call.Null();
  const causal::Shape shape = causal::RowOf(result->kind).shape;
  if (shape == causal::Shape::kList || shape == causal::Shape::kFields) {
    return call.Refuse({base::Code::kWrongType, "sets and maps are read over HTTP"});
  }
  ReplyWriter writer = call.Writer();
  writer.Map(4);
  if (result->values.size() == 1) {
    writer.Bulk("value").Bulk(result->values.front().bytes);
  } else {
    writer.Bulk("siblings").Array(result->values.size());
    for (const coordinator::ShownValue& value : result->values) {
      writer.Map(3).Bulk("value").Bulk(value.bytes).Bulk("version");
      WriteVersion(writer, value.version);
      writer.Bulk("timestamp").Int(value.written.ms);
    }
  }
  writer.Bulk("context").Bulk(result->context).Bulk("version");
  WriteVersion(writer, result->version);
  writer.Bulk("timestamp").Int(result->timestamp.ms);
  call.Answer(writer);
}

void AnswerWritten(Call& call, const base::Result<WriteReply>& reply) {
  if (!reply) return call.Refuse(reply.error());
  ReplyWriter writer = call.Writer();
  writer.Map(2).Bulk("version");
  WriteVersion(writer, reply->version);
  call.Answer(writer.Bulk("context").Bulk(reply->context));
}

// The write that the options say, of a key in any bucket.
coordinator::WriteRequest RequestOf(const Call& call, Args args, LariatOptions options) {
  coordinator::WriteRequest request = call.Write(args[2]);
  request.bucket = args[1];
  if (options.w) request.consistency.w = options.w;
  if (options.idempotency) request.idempotency_key = std::move(options.idempotency);
  request.write.context = std::move(options.context);
  request.write.if_match = std::move(options.if_match);
  request.write.ttl_s = options.ttl_s;
  return request;
}

void WriteNames(ReplyWriter& writer, const std::vector<std::string>& names) {
  writer.Array(names.size());
  for (const std::string& name : names) writer.Bulk(name);
}

}  // namespace

void LariatGet(Call call, Args args) {
  LariatOptions options;
  if (const auto error = ParseLariat(args.subspan(3), " CONTEXT R ", &options); !error.empty()) {
    return call.Error(error);
  }
  coordinator::GetRequest request = call.Get(args[2]);
  request.bucket = args[1];
  if (options.r) request.consistency.r = options.r;
  request.context = std::move(options.context);
  coordinator::KvService& kv = call.shared().kv;
  kv.Get(std::move(request),
         [call = std::move(call)](const base::Result<GetReply>& result) mutable {
           AnswerGet(call, result);
         });
}

void LariatPut(Call call, Args args) {
  LariatOptions options;
  const auto error = ParseLariat(args.subspan(4), " CONTEXT IFMATCH W TTL IDEMPOTENCY ", &options);
  if (!error.empty()) return call.Error(error);
  coordinator::WriteRequest request = RequestOf(call, args, std::move(options));
  request.write.value = args[3];
  WriteKey(std::move(call), std::move(request), AnswerWritten);
}

void LariatDel(Call call, Args args) {
  LariatOptions options;
  const auto error = ParseLariat(args.subspan(3), " CONTEXT W IDEMPOTENCY ", &options);
  if (!error.empty()) return call.Error(error);
  coordinator::WriteRequest request = RequestOf(call, args, std::move(options));
  request.write.is_delete = true;
  WriteKey(std::move(call), std::move(request), AnswerWritten);
}

void LariatOnce(Call call, Args args) {
  const Args asked = args.subspan(2);
  std::string error;
  const Command* command = Lookup(asked, &error);
  if (command == nullptr) return call.Error(error);
  if (!command->UsesDatabase() || (command->flags & kWrite) == 0) {
    return call.Error(
        "ERR invalid_argument LARIAT.ONCE runs commands that write keys of the "
        "database; LARIAT.PUT and LARIAT.DEL take IDEMPOTENCY themselves");
  }
  if (args[1].empty() || args[1].size() > 64) {
    return call.Error("ERR invalid_argument an idempotency id has 1 to 64 bytes");
  }
  RespConnection* client = call.connection();
  call.RunAs(*command);
  client->Run(*command, std::move(call), asked, std::string(args[1]));
}

void LariatConsistency(Call call, Args args) {
  LariatOptions options;
  const auto error = ParseLariat(args.subspan(1), " R W ", &options);
  if (!error.empty()) return call.Error(error);
  const auto fits = [](const std::optional<int64_t>& count) { return !count || *count >= 1; };
  if (!fits(options.r) || !fits(options.w)) {
    return call.Error("ERR invalid_argument R and W are 1 or more");
  }
  call.connection()->session().r = options.r;
  call.connection()->session().w = options.w;
  call.Ok();
}

void LariatExplain(Call call, Args args) {
  coordinator::AdminService& admin = call.shared().admin;
  const coordinator::Caller caller = call.connection()->caller();
  admin.Explain(std::string(args[1]), std::string(args[2]), caller,
                [call = std::move(call)](const base::Result<coordinator::Explanation>& r) mutable {
                  if (!call.shared().alive) return;
                  if (!r) return call.Refuse(r.error());
                  ReplyWriter writer = call.Writer();
                  writer.Map(8).Bulk("partition_key").Bulk(r->partition_key);
                  writer.Bulk("token").Bulk(std::to_string(r->token.value));
                  writer.Bulk("n").Int(r->n).Bulk("r").Int(r->r).Bulk("w").Int(r->w);
                  writer.Bulk("agree").Flag(r->agree).Bulk("replicas").Array(r->replicas.size());
                  for (const auto& replica : r->replicas) {
                    writer.Map(6).Bulk("node").Bulk(replica.node);
                    writer.Bulk("alive").Flag(replica.alive).Bulk("state").Bulk(replica.state);
                    writer.Bulk("version");
                    WriteVersion(writer, replica.version);
                    writer.Bulk("siblings").Int(replica.siblings);
                    writer.Bulk("bytes").Int(static_cast<int64_t>(replica.bytes));
                  }
                  writer.Bulk("fallbacks");
                  WriteNames(writer, r->fallbacks);
                  call.Answer(writer);
                });
}

void LariatRing(Call call, Args args) {
  const auto n = args.size() > 1 ? ParseInt(args[1]) : 3;
  if (!n || *n < 1 || *n > 16 || args.size() > 2) {
    return call.Error("ERR invalid_argument n is 1 to 16");
  }
  const auto ranges = call.shared().admin.Ring(static_cast<uint32_t>(*n));
  ReplyWriter writer = call.Writer();
  writer.Array(ranges.size());
  for (const auto& range : ranges) {
    writer.Map(3).Bulk("from").Bulk(std::to_string(range.from.value));
    writer.Bulk("to").Bulk(std::to_string(range.to.value)).Bulk("owners");
    WriteNames(writer, range.owners);
  }
  call.Answer(writer);
}

}  // namespace lariat::frontend::resp::commands
