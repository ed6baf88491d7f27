// SPDX-License-Identifier: Apache-2.0
#include <lariat/client.h>

#include <stdexcept>
#include <utility>

#include "client/engine.h"
#include "client/session_memory.h"

namespace lariat {

namespace client {
namespace {

Request Basic(Request::Op op, const Key& key, Consistency level, const Engine& engine) {
  Request request;
  request.op = op;
  request.bucket = key.bucket;
  request.key = key.key;
  request.level = level;
  const auto view = engine.View(key.bucket);
  if (view) request.n = view->n;
  return request;
}

Request PutOf(const Key& key, std::string value, PutOptions options, Engine& engine) {
  Request request = Basic(Request::Op::kPut, key, options.consistency, engine);
  request.value = std::move(value);
  request.content_type = std::move(options.content_type);
  request.context = std::move(options.context);
  request.if_match = std::move(options.if_match);
  request.if_absent = options.if_absent;
  request.ttl = options.ttl;
  request.id = std::move(options.idempotency_id);
  if (request.id.empty() && engine.options().idempotent_writes) request.id = engine.MakeId();
  return request;
}

Request DeleteOf(const Key& key, DeleteOptions options, Engine& engine) {
  Request request = Basic(Request::Op::kDelete, key, options.consistency, engine);
  request.context = std::move(options.context);
  request.if_match = std::move(options.if_match);
  request.id = std::move(options.idempotency_id);
  if (request.id.empty() && engine.options().idempotent_writes) request.id = engine.MakeId();
  return request;
}

Result<Read> ReadOf(Reply reply, const Key& key, const Engine& engine) {
  if (reply.code != Code::Ok) return Error{reply.code, std::move(reply.message)};
  Read read;
  read.values = std::move(reply.values);
  read.context = std::move(reply.context);
  read.expires_ms = reply.expires_ms;
  if (read.values.empty()) return Error{Code::Protocol, "a read without a value"};
  const Resolver& resolver = engine.options().resolver;
  if (read.IsConflict() && resolver) {
    read.values = {resolver(key, read.values)};
    read.resolved = true;
  }
  return read;
}

// Calls `note` with the reply of a write that was done, and keeps the promise.
template <typename Note>
Future<Result<Written>> Write(Engine& engine, Request request, std::chrono::milliseconds timeout,
                              Note note) {
  Promise<Result<Written>> promise;
  engine.Submit(std::move(request), timeout, [promise, note](Result<Reply> result) {
    if (!result.ok()) return promise.Set(result.error());
    note(result.value());
    Reply& reply = result.value();
    promise.Set(Written{std::move(reply.context), std::move(reply.version), reply.tries});
  });
  return promise.ToFuture();
}

void NoteNothing(const Reply&) {}

// A read of a session: asks more replicas until what they say covers what the session has seen.
class SessionRead : public std::enable_shared_from_this<SessionRead> {
 public:
  SessionRead(std::shared_ptr<Engine> engine, std::shared_ptr<SessionMemory> memory, Key key,
              GetOptions options)
      : engine_(std::move(engine)),
        memory_(std::move(memory)),
        key_(std::move(key)),
        level_(options.consistency),
        seen_(memory_->Look(key_.bucket, key_.key)),
        deadline_(Clock::now() +
                  (options.timeout.count() > 0 ? options.timeout : engine_->options().timeout)) {}

  Future<Result<Read>> Start() {
    Ask();
    return promise_.ToFuture();
  }

 private:
  void Ask() {
    Request request = Basic(Request::Op::kGet, key_, level_, *engine_);
    request.context = seen_.context;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
    engine_->Submit(
        std::move(request), std::max(left, std::chrono::milliseconds(1)),
        [self = shared_from_this()](Result<Reply> result) { self->OnResult(std::move(result)); });
  }

  void OnResult(Result<Reply> result) {
    if (!result.ok()) {
      Error error = result.error();
      const bool few = error.code == Code::InsufficientReplicas || error.code == Code::Timeout ||
                       error.code == Code::Unavailable || error.code == Code::Unreachable;
      if (escalated_ && few) error.code = Code::NotCovered;
      return promise_.Set(std::move(error));
    }
    const std::string& context = result.value().context;
    const bool wide = IsWide(level_, engine_->View(key_.bucket), true);
    if (memory_->Covers(seen_, context, wide, level_ == Consistency::All)) {
      memory_->Note(key_.bucket, key_.key, seen_, context, wide);
      return promise_.Set(ReadOf(std::move(result).value(), key_, *engine_));
    }
    ++engine_->counters().escalations;
    escalated_ = true;
    level_ = seen_.is_wide && !wide ? Consistency::Quorum : Consistency::All;
    Ask();
  }

  const std::shared_ptr<Engine> engine_;
  const std::shared_ptr<SessionMemory> memory_;
  const Key key_;
  Consistency level_;
  const SessionMemory::Seen seen_;
  const Clock::time_point deadline_;
  bool escalated_ = false;
  Promise<Result<Read>> promise_;
};

// What a session notes of a write that was done.
auto NoteOf(const std::shared_ptr<Engine>& engine, std::shared_ptr<SessionMemory> memory, Key key,
            SessionMemory::Seen before, Consistency level) {
  return [engine, memory = std::move(memory), key = std::move(key), before = std::move(before),
          level](const Reply& reply) {
    std::optional<std::string> context;
    if (!reply.context.empty()) context = reply.context;
    memory->Note(key.bucket, key.key, before, context,
                 IsWide(level, engine->View(key.bucket), false));
  };
}

}  // namespace
}  // namespace client

Client::Client(ClientOptions options) {
  const std::string wrong = client::CheckOptions(options);
  if (!wrong.empty()) throw std::invalid_argument(wrong);
  engine_ = std::make_shared<client::Engine>(std::move(options));
}

Client::~Client() { engine_->Close(); }

Future<Result<Read>> Client::Get(Key key, GetOptions options) {
  Promise<Result<Read>> promise;
  client::Request request =
      client::Basic(client::Request::Op::kGet, key, options.consistency, *engine_);
  client::Engine& engine = *engine_;
  engine.Submit(std::move(request), options.timeout,
                [promise, key = std::move(key), &engine](Result<client::Reply> result) {
                  if (!result.ok()) return promise.Set(result.error());
                  promise.Set(client::ReadOf(std::move(result).value(), key, engine));
                });
  return promise.ToFuture();
}

Future<Result<Written>> Client::Put(Key key, std::string value, PutOptions options) {
  const auto timeout = options.timeout;
  return client::Write(*engine_, client::PutOf(key, std::move(value), std::move(options), *engine_),
                       timeout, client::NoteNothing);
}

Future<Result<Written>> Client::Delete(Key key, DeleteOptions options) {
  const auto timeout = options.timeout;
  return client::Write(*engine_, client::DeleteOf(key, std::move(options), *engine_), timeout,
                       client::NoteNothing);
}

Session Client::NewSession(SessionOptions options) { return {engine_, options}; }

Stats Client::GetStats() const { return engine_->GetStats(); }

Session::Session(std::shared_ptr<client::Engine> engine, SessionOptions options)
    : engine_(std::move(engine)),
      memory_(std::make_shared<client::SessionMemory>(options.keys_max, engine_->bug())) {}

Future<Result<Read>> Session::Get(Key key, GetOptions options) {
  return std::make_shared<client::SessionRead>(engine_, memory_, std::move(key), options)->Start();
}

Future<Result<Written>> Session::Put(Key key, std::string value, PutOptions options) {
  auto seen = memory_->Look(key.bucket, key.key);
  if (options.context.empty()) options.context = seen.context;
  auto note = client::NoteOf(engine_, memory_, key, std::move(seen), options.consistency);
  const auto timeout = options.timeout;
  return client::Write(*engine_, client::PutOf(key, std::move(value), std::move(options), *engine_),
                       timeout, std::move(note));
}

Future<Result<Written>> Session::Delete(Key key, DeleteOptions options) {
  auto seen = memory_->Look(key.bucket, key.key);
  if (options.context.empty()) options.context = seen.context;
  auto note = client::NoteOf(engine_, memory_, key, std::move(seen), options.consistency);
  const auto timeout = options.timeout;
  return client::Write(*engine_, client::DeleteOf(key, std::move(options), *engine_), timeout,
                       std::move(note));
}

}  // namespace lariat
