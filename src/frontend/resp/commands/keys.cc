// SPDX-License-Identifier: Apache-2.0
// Keys whatever they hold, and their expiry.
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

// Requests for several keys, and how many of them were there.
struct Counting {
  Call call;
  std::vector<coordinator::GetRequest> gets;
  std::vector<coordinator::WriteRequest> deletes;
  int64_t count = 0;
};

void FinishCounting(Counting& counting, const base::Status& status) {
  if (!counting.call.shared().alive) return;
  if (status) return counting.call.Int(counting.count);
  base::Error error = status.error();
  if (!counting.deletes.empty()) error.message += "; other keys may have been deleted";
  counting.call.Refuse(error);
}

struct ExpireOptions {
  bool nx = false, xx = false, gt = false, lt = false;
};

std::string_view ParseExpireOptions(Args args, ExpireOptions* options) {
  for (const std::string_view word : args) {
    if (EqualsIgnoringCase(word, "nx")) {
      options->nx = true;
    } else if (EqualsIgnoringCase(word, "xx")) {
      options->xx = true;
    } else if (EqualsIgnoringCase(word, "gt")) {
      options->gt = true;
    } else if (EqualsIgnoringCase(word, "lt")) {
      options->lt = true;
    } else {
      return "ERR Unsupported option ";
    }
  }
  if (options->nx && (options->xx || options->gt || options->lt)) {
    return "ERR NX and XX, GT or LT options at the same time are not compatible";
  }
  if (options->gt && options->lt) {
    return "ERR GT and LT options at the same time are not compatible";
  }
  return {};
}

// A key that never expires has an expiry later than any.
bool MayExpire(const ExpireOptions& options, int64_t now_ms, int64_t then_ms) {
  if (options.nx && now_ms != 0) return false;
  if (options.xx && now_ms == 0) return false;
  if (options.gt && (now_ms == 0 || then_ms <= now_ms)) return false;
  return !options.lt || now_ms == 0 || then_ms < now_ms;
}

ExpiryUnit UnitOfExpire(std::string_view name) {
  const bool millis = name.starts_with('p');
  if (name.ends_with("at")) return millis ? ExpiryUnit::kUnixMillis : ExpiryUnit::kUnixSeconds;
  return millis ? ExpiryUnit::kMillis : ExpiryUnit::kSeconds;
}

}  // namespace

void Del(Call call, Args args) {
  auto work = std::make_shared<Counting>(Counting{std::move(call), {}, {}});
  for (size_t i = 1; i < args.size(); ++i) {
    work->deletes.push_back(work->call.Write(args[i]));
    auto& request = work->deletes.back();
    request.write.is_delete = true;
    request.write.if_match = "*";
    if (request.idempotency_key && args.size() > 2) {
      *request.idempotency_key += "#" + std::to_string(i);
    }
  }
  DoEach(
      work->deletes.size(),
      [work](size_t i, coordinator::StatusDone done) {
        work->call.shared().kv.Write(
            std::move(work->deletes[i]),
            [work, done = std::move(done)](const base::Result<WriteReply>& reply) mutable {
              NoteAcks(work->call, reply);
              if (reply) ++work->count;
              if (reply || reply.error().code == base::Code::kPreconditionFailed) return done({});
              done(base::Fail(reply.error()));
            });
      },
      [work](const base::Status& status) { FinishCounting(*work, status); });
}

void Exists(Call call, Args args) {
  auto work = std::make_shared<Counting>(Counting{std::move(call), {}, {}});
  for (const std::string_view key : args.subspan(1)) work->gets.push_back(work->call.Get(key));
  DoEach(
      work->gets.size(),
      [work](size_t i, coordinator::StatusDone done) {
        work->call.shared().kv.Get(
            std::move(work->gets[i]),
            [work, done = std::move(done)](const base::Result<GetReply>& result) mutable {
              if (!result) return done(base::Fail(result.error()));
              if (!result->values.empty()) ++work->count;
              done({});
            });
      },
      [work](const base::Status& status) { FinishCounting(*work, status); });
}

void Type(Call call, Args args) {
  ReadKey(std::move(call), args[1], [](Call& c, const Found& found) {
    ReplyWriter writer = c.Writer();
    c.Answer(writer.Simple(found.exists ? "string" : "none"));
  });
}

void Expire(Call call, Args args) {
  const auto amount = ParseInt(args[2]);
  if (!amount) return call.NotAnInteger();
  ExpireOptions options;
  if (const auto error = ParseExpireOptions(args.subspan(3), &options); !error.empty()) {
    return call.Error(error);
  }
  const base::WallTime now = call.shared().env.clock.Wall();
  const auto at = ExpiryAt(*amount, UnitOfExpire(call.command().name), now);
  if (!at) {
    std::string error = "ERR invalid expire time in '";
    return call.Error(error.append(call.command().name) += "' command");
  }
  UpdateKey(
      std::move(call), args[1],
      [options, at = *at, now](Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
        const bool may = found.exists && MayExpire(options, found.expires_ms, at);
        reply.Int(may ? 1 : 0);
        if (!may) return std::nullopt;
        if (at <= now.ms) {
          ClientWrite write;
          write.is_delete = true;
          return write;
        }
        found.expires_ms = at;
        return Replace(found, std::move(found.value));
      });
}

void Persist(Call call, Args args) {
  UpdateKey(std::move(call), args[1],
            [](Found& found, ReplyWriter& reply) -> std::optional<ClientWrite> {
              const bool expires = found.exists && found.expires_ms != 0;
              reply.Int(expires ? 1 : 0);
              if (!expires) return std::nullopt;
              found.expires_ms = 0;
              return Replace(found, std::move(found.value));
            });
}

void Ttl(Call call, Args args) {
  ReadKey(std::move(call), args[1], [](Call& c, const Found& found) {
    if (!found.exists) return c.Int(-2);
    if (found.expires_ms == 0) return c.Int(-1);
    const std::string_view name = c.command().name;
    const int64_t since = name.ends_with("time") ? 0 : c.shared().env.clock.Wall().ms;
    const int64_t ms = std::max<int64_t>(0, found.expires_ms - since);
    c.Int(name.starts_with('p') ? ms : ms / 1000 + (ms % 1000 >= 500 ? 1 : 0));
  });
}

namespace {

struct CopyOptions {
  std::string bucket;
  std::optional<uint32_t> database;
  bool replace = false;
};

std::string_view ParseCopyOptions(Args args, CopyOptions* options) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (EqualsIgnoringCase(args[i], "replace")) {
      options->replace = true;
    } else if (EqualsIgnoringCase(args[i], "db") && i + 1 < args.size()) {
      const auto index = ParseInt(args[++i]);
      if (!index) return "ERR value is not an integer or out of range";
      if (*index < 0 || *index >= kDatabases) return "ERR DB index is out of range";
      options->database = static_cast<uint32_t>(*index);
    } else {
      return "ERR syntax error";
    }
  }
  return {};
}

// The source is read; the request lacks its value.
void WriteCopy(Call call, Found found, coordinator::WriteRequest request, bool replace) {
  request.write = Replace(found, std::move(found.value));
  request.write.if_none_match_any = !replace;
  WriteKey(std::move(call), std::move(request), [](Call& c, const base::Result<WriteReply>& reply) {
    if (reply) return c.Int(1);
    if (reply.error().code == base::Code::kPreconditionFailed) return c.Int(0);
    c.Refuse(reply.error());
  });
}

}  // namespace

void Copy(Call call, Args args) {
  CopyOptions options;
  if (const auto error = ParseCopyOptions(args.subspan(3), &options); !error.empty()) {
    return call.Error(error);
  }
  const uint32_t here = call.connection()->session().database;
  const uint32_t there = options.database.value_or(here);
  if (here == there && args[1] == args[2]) {
    return call.Error("ERR source and destination objects are the same");
  }
  coordinator::WriteRequest request = call.Write(args[2]);
  request.bucket = BucketOf(there);
  ReadKey(std::move(call), args[1],
          [request = std::move(request), there, replace = options.replace](Call& c,
                                                                           Found found) mutable {
            if (!found.exists) return c.Int(0);
            Shared& shared = c.shared();
            shared.databases.WhenReady(
                shared, there,
                [call = std::move(c), found = std::move(found), request = std::move(request),
                 replace](const base::Status& status) mutable {
                  if (!status) return call.Refuse(status.error());
                  WriteCopy(std::move(call), std::move(found), std::move(request), replace);
                });
          });
}

namespace {

// OBJECT asks for a key that exists.
void OfKey(Call call, std::string_view key, base::UniqueFunction<void(Call&, const Found&)> use) {
  ReadKey(std::move(call), key, [use = std::move(use)](Call& c, const Found& found) mutable {
    if (found.exists) return use(c, found);
    ReplyWriter writer = c.Writer();
    c.Answer(writer.Null());
  });
}

// As Redis would keep it.
std::string_view EncodingOf(const std::string& value) {
  constexpr size_t kEmbeddedBytesMax = 44;
  if (value.size() <= 20 && ParseInt(value)) return "int";
  return value.size() <= kEmbeddedBytesMax ? "embstr" : "raw";
}

}  // namespace

void ObjectEncoding(Call call, Args args) {
  OfKey(std::move(call), args[2],
        [](Call& c, const Found& found) { c.Bulk(std::string(EncodingOf(found.value))); });
}

void ObjectRefCount(Call call, Args args) {
  OfKey(std::move(call), args[2], [](Call& c, const Found&) { c.Int(1); });
}

void ObjectFreq(Call call, Args) {
  call.Error("ERR unsupported: OBJECT FREQ (reads of a key are not counted)");
}

void ObjectIdleTime(Call call, Args) {
  call.Error("ERR unsupported: OBJECT IDLETIME (a read does not change a key, so nobody knows)");
}

void MemoryUsage(Call call, Args args) {
  constexpr size_t kRecordBytes = 64;  // what surrounds key and value
  OfKey(std::move(call), args[2], [key = args[2].size()](Call& c, const Found& found) {
    c.Int(static_cast<int64_t>(key + found.value.size() + kRecordBytes));
  });
}

}  // namespace lariat::frontend::resp::commands
