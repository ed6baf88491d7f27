// SPDX-License-Identifier: Apache-2.0
// Values of bytes. What changes a value by what it was is UpdateKey's.
#include <algorithm>
#include <memory>
#include <utility>

#include "frontend/resp/internal/connection.h"
#include "frontend/resp/internal/expiry.h"
#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/keyspace.h"

namespace lariat::frontend::resp::commands {
namespace {

using coordinator::GetReply;
using coordinator::WriteReply;
using telemetry::Outcome;

constexpr std::string_view kTooLong =
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

void AnswerSet(Call& call, const base::Result<WriteReply>& reply) {
  if (reply) return call.Ok();
  if (reply.error().code != base::Code::kPreconditionFailed) return call.Refuse(reply.error());
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Null());
}

// With options that need to know what is there.
void SetByRead(Call call, Args args, const StringOptions& options) {
  UpdateKey(std::move(call), args[1],
            [options, value = std::string(args[2])](
                Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              const bool refused = found.exists ? options.if_absent : options.if_present;
              if (options.get && found.exists) {
                reply.Bulk(found.value);
              } else if (options.get || refused) {
                reply.Null();
              } else {
                reply.Simple("OK");
              }
              if (refused) return std::nullopt;
              ClientWrite write;
              write.value = value;
              write.expires_ms = options.expires_ms;
              if (options.keep_ttl && found.exists) write.expires_ms = found.expires_ms;
              return write;
            });
}

void SetDirectly(Call call, std::string_view key, ClientWrite write) {
  coordinator::WriteRequest request = call.Write(key);
  request.write = std::move(write);
  WriteKey(std::move(call), std::move(request),
           [](Call& c, const base::Result<WriteReply>& reply) { AnswerSet(c, reply); });
}

// What GETRANGE means by an end that may count from the back.
int64_t FromFront(int64_t index, int64_t size) {
  return index < 0 ? std::max<int64_t>(0, index + size) : index;
}

}  // namespace

void Get(Call call, Args args) {
  coordinator::GetRequest request = call.Get(args[1]);
  coordinator::KvService& kv = call.shared().kv;
  kv.Get(std::move(request), [call = std::move(call)](base::Result<GetReply> result) mutable {
    if (!call.shared().alive) return;
    if (!result) return call.Refuse(result.error());
    if (result->values.empty()) return call.Null();
    call.Bulk(std::move(Shown(std::move(*result)).value));
  });
}

void Set(Call call, Args args) {
  StringOptions options;
  const auto error =
      ParseOptions(args.subspan(3), OptionsFor::kSet, call.shared().env.clock.Wall(), &options);
  if (!error.empty()) return call.Error(error);
  if (options.get || options.keep_ttl) return SetByRead(std::move(call), args, options);
  ClientWrite write;
  write.value = args[2];
  write.expires_ms = options.expires_ms;
  write.if_none_match_any = options.if_absent;
  if (options.if_present) write.if_match = "*";
  SetDirectly(std::move(call), args[1], std::move(write));
}

void SetEx(Call call, Args args) {
  const auto amount = ParseInt(args[2]);
  if (!amount) return call.NotAnInteger();
  const auto unit = call.command().name == "setex" ? ExpiryUnit::kSeconds : ExpiryUnit::kMillis;
  const auto at =
      *amount > 0 ? ExpiryAt(*amount, unit, call.shared().env.clock.Wall()) : std::nullopt;
  if (!at) {
    std::string error = "ERR invalid expire time in '";
    return call.Error(error.append(call.command().name) += "' command");
  }
  ClientWrite write;
  write.value = args[3];
  write.expires_ms = at;
  SetDirectly(std::move(call), args[1], std::move(write));
}

void SetNx(Call call, Args args) {
  coordinator::WriteRequest request = call.Write(args[1]);
  request.write.value = args[2];
  request.write.if_none_match_any = true;
  WriteKey(std::move(call), std::move(request), [](Call& c, const base::Result<WriteReply>& reply) {
    if (reply) return c.Int(1);
    if (reply.error().code == base::Code::kPreconditionFailed) return c.Int(0);
    c.Refuse(reply.error());
  });
}

void GetSet(Call call, Args args) {
  StringOptions options;
  options.get = true;
  SetByRead(std::move(call), args, options);
}

void GetDel(Call call, Args args) {
  UpdateKey(std::move(call), args[1],
            [](Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              if (!found.exists) {
                reply.Null();
                return std::nullopt;
              }
              reply.Bulk(found.value);
              ClientWrite write;
              write.is_delete = true;
              return write;
            });
}

void GetEx(Call call, Args args) {
  StringOptions options;
  const auto error =
      ParseOptions(args.subspan(2), OptionsFor::kGetEx, call.shared().env.clock.Wall(), &options);
  if (!error.empty()) return call.Error(error);
  UpdateKey(std::move(call), args[1],
            [options](Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              if (!found.exists) {
                reply.Null();
                return std::nullopt;
              }
              reply.Bulk(found.value);
              const int64_t expires_ms =
                  options.persist ? 0 : options.expires_ms.value_or(found.expires_ms);
              if (expires_ms == found.expires_ms) return std::nullopt;
              found.expires_ms = expires_ms;
              return Replace(found, std::move(found.value));
            });
}

void Append(Call call, Args args) {
  const uint64_t most = call.shared().kv.ValueBytesMax();
  UpdateKey(std::move(call), args[1],
            [most, tail = std::string(args[2])](Found& found,
                                                ReplyWriter& reply) -> std::optional<ClientWrite> {
              if (found.value.size() + tail.size() > most) {
                reply.Error(kTooLong);
                return std::nullopt;
              }
              reply.Int(static_cast<int64_t>(found.value.size() + tail.size()));
              if (tail.empty() && found.exists) return std::nullopt;
              return Replace(found, found.value + tail);
            });
}

void StrLen(Call call, Args args) {
  ReadKey(std::move(call), args[1],
          [](Call& c, const Found& found) { c.Int(static_cast<int64_t>(found.value.size())); });
}

void GetRange(Call call, Args args) {
  const auto start = ParseInt(args[2]);
  const auto end = ParseInt(args[3]);
  if (!start || !end) return call.NotAnInteger();
  ReadKey(std::move(call), args[1], [start = *start, end = *end](Call& c, const Found& found) {
    const auto size = static_cast<int64_t>(found.value.size());
    const int64_t first = FromFront(start, size);
    const int64_t last = std::min(FromFront(end, size), size - 1);
    const bool nothing = (start < 0 && end < 0 && start > end) || first > last;
    c.Bulk(nothing ? std::string()
                   : found.value.substr(static_cast<size_t>(first),
                                        static_cast<size_t>(last - first + 1)));
  });
}

void SetRange(Call call, Args args) {
  const auto offset = ParseInt(args[2]);
  if (!offset) return call.NotAnInteger();
  if (*offset < 0) return call.Error("ERR offset is out of range");
  const uint64_t most = call.shared().kv.ValueBytesMax();
  const auto at = static_cast<uint64_t>(*offset);
  UpdateKey(std::move(call), args[1],
            [most, at, part = std::string(args[3])](
                Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              std::string value = std::move(found.value);
              if (part.empty()) {
                reply.Int(static_cast<int64_t>(value.size()));
                return std::nullopt;
              }
              if (at > most || at + part.size() > most) {
                reply.Error(kTooLong);
                return std::nullopt;
              }
              value.resize(std::max<size_t>(value.size(), at + part.size()));
              value.replace(at, part.size(), part);
              reply.Int(static_cast<int64_t>(value.size()));
              return Replace(found, std::move(value));
            });
}

namespace {

struct Many {
  Call call;
  std::vector<coordinator::GetRequest> gets;
  std::vector<coordinator::WriteRequest> writes;
  std::vector<std::optional<std::string>> values;
  uint64_t bytes = 0;
};

void FinishMGet(Many& many, const base::Status& status) {
  if (!many.call.shared().alive) return;
  if (!status) return many.call.Refuse(status.error());
  ReplyWriter writer = many.call.Writer();
  writer.Array(many.values.size());
  for (auto& value : many.values) {
    if (value) {
      writer.Bulk(*value);
    } else {
      writer.Null();
    }
    value.reset();
  }
  many.call.Answer(writer);
}

}  // namespace

void MGet(Call call, Args args) {
  // Co-owned by the callbacks of the pieces.
  auto many = std::make_shared<Many>(Many{std::move(call), {}, {}, {}});
  for (const std::string_view key : args.subspan(1)) many->gets.push_back(many->call.Get(key));
  many->values.resize(many->gets.size());
  DoEach(
      many->gets.size(),
      [many](size_t i, coordinator::StatusDone done) {
        many->call.shared().kv.Get(
            std::move(many->gets[i]),
            [many, i, done = std::move(done)](base::Result<GetReply> result) mutable {
              if (!result) return done(base::Fail(std::move(result.error())));
              Found found = Shown(std::move(*result));
              many->bytes += found.value.size();
              if (found.exists) many->values[i] = std::move(found.value);
              if (many->bytes <= many->call.shared().limits.output_bytes_max) return done({});
              done(base::Fail(base::Code::kTooLarge,
                              "the values are larger together than resp.output_bytes_max"));
            });
      },
      [many](const base::Status& status) { FinishMGet(*many, status); });
}

void MSet(Call call, Args args) {
  if (args.size() % 2 == 0) {
    return call.Error("ERR wrong number of arguments for 'mset' command");
  }
  auto many = std::make_shared<Many>(Many{std::move(call), {}, {}, {}});
  for (size_t i = 1; i < args.size(); i += 2) {
    many->writes.push_back(many->call.Write(args[i]));
    auto& request = many->writes.back();
    request.write.value = args[i + 1];
    if (request.idempotency_key) *request.idempotency_key += "#" + std::to_string(i);
  }
  DoEach(
      many->writes.size(),
      [many](size_t i, coordinator::StatusDone done) {
        many->call.shared().kv.Write(
            std::move(many->writes[i]),
            [many, done = std::move(done)](const base::Result<WriteReply>& reply) mutable {
              NoteAcks(many->call, reply);
              done(reply ? base::Status() : base::Fail(reply.error()));
            });
      },
      [many](const base::Status& status) {
        if (!many->call.shared().alive) return;
        if (status) return many->call.Ok();
        base::Error error = status.error();
        error.message += "; other keys of the command may have been set";
        many->call.Refuse(error);
      });
}

}  // namespace lariat::frontend::resp::commands
