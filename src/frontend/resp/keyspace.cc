// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/keyspace.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "frontend/resp/internal/connection.h"

namespace lariat::frontend::resp {
namespace {

using base::Code;
using base::Fail;
using coordinator::GetReply;
using coordinator::WriteReply;

constexpr size_t kPiecesAtOnce = 64;  // of one command

// One update from its first read to its answer.
struct Update {
  Call call;
  coordinator::GetRequest get;
  coordinator::WriteRequest write;
  Decide decide;
  int64_t tries_left;
  ReplyWriter reply;
  std::string queue;  // in Shared::updates
};
using UpdatePtr = std::shared_ptr<Update>;  // co-owners: the callbacks that carry it on

void StartUpdate(const UpdatePtr& update);

void EndUpdate(const UpdatePtr& update) {
  Shared& shared = update->call.shared();
  if (!shared.alive) return;
  const auto queue = shared.updates.find(update->queue);
  if (queue->second.empty()) {
    shared.updates.erase(queue);
    return;
  }
  auto next = std::move(queue->second.front());
  queue->second.pop_front();
  shared.env.executor.Post(std::move(next));
}

void OnUpdated(const UpdatePtr& update, const base::Result<WriteReply>& reply) {
  NoteAcks(update->call, reply);
  if (!reply && reply.error().code == Code::kPreconditionFailed && update->call.shared().alive) {
    if (--update->tries_left > 0) {
      update->call.shared().metrics.resp_update_retries.Add();
      return StartUpdate(update);
    }
    update->call.Refuse({Code::kPreconditionFailed,
                         "the key was changed by others again and again (resp.update_tries); "
                         "nothing was done"});
  } else if (!reply) {
    update->call.Refuse(reply.error());
  } else {
    // What the first one read, and answered by, is not known any more.
    if (reply->replayed) update->reply = update->call.Writer().Simple("REPLAYED");
    update->call.Answer(update->reply);
  }
  EndUpdate(update);
}

void OnRead(const UpdatePtr& update, base::Result<GetReply> result) {
  if (!update->call.shared().alive) return;
  if (!result) {
    base::Error error = std::move(result.error());
    if (error.code == Code::kTimeout) error.message += "; nothing was changed";
    update->call.Refuse(error);
    return EndUpdate(update);
  }
  Found found = Shown(std::move(*result));
  update->reply.Clear();
  std::optional<ClientWrite> change = update->decide(found, update->reply);
  if (!change) {
    update->call.Answer(update->reply);
    return EndUpdate(update);
  }
  coordinator::WriteRequest write = update->write;
  write.write = std::move(*change);
  if (found.exists) {
    write.write.if_match = std::move(found.context);
  } else {
    write.write.if_none_match_any = true;
  }
  update->call.shared().kv.Write(
      std::move(write), [update](base::Result<WriteReply> reply) { OnUpdated(update, reply); });
}

void StartUpdate(const UpdatePtr& update) {
  if (!update->call.shared().alive) return;
  update->call.shared().kv.Get(
      update->get, [update](base::Result<GetReply> result) { OnRead(update, std::move(result)); });
}

// Callbacks may come before the call that they belong to returns: `pumping` makes a loop of that.
struct Pieces {
  size_t count, next = 0, in_work = 0;
  bool pumping = false;
  Piece start;
  coordinator::StatusDone end;
  base::Status status;
};

void Pump(const std::shared_ptr<Pieces>& pieces) {
  if (std::exchange(pieces->pumping, true)) return;
  while (pieces->status && pieces->next < pieces->count && pieces->in_work < kPiecesAtOnce) {
    ++pieces->in_work;
    pieces->start(pieces->next++, [pieces](base::Status status) {
      --pieces->in_work;
      if (!status && pieces->status) pieces->status = std::move(status);
      Pump(pieces);
    });
  }
  pieces->pumping = false;
  const bool over = !pieces->status || pieces->next == pieces->count;
  if (over && pieces->in_work == 0 && pieces->end) {
    auto end = std::exchange(pieces->end, nullptr);
    pieces->start = nullptr;  // it may hold what holds this
    end(std::move(pieces->status));
  }
}

}  // namespace

void NoteAcks(const Call& call, const base::Result<WriteReply>& reply) {
  RespConnection* client = call.connection();
  if (!reply || client == nullptr) return;
  client->session().last_acks = reply->replicas.primaries + reply->replicas.fallbacks;
}

Found Shown(GetReply reply) {
  Found found;
  found.context = std::move(reply.context);
  if (reply.values.empty()) return found;
  auto newest =
      std::max_element(reply.values.begin(), reply.values.end(),
                       [](const auto& a, const auto& b) { return a.written < b.written; });
  found.exists = true;
  found.value = std::move(newest->bytes);
  found.expires_ms = newest->expires_ms;
  return found;
}

ClientWrite Replace(const Found& found, std::string value) {
  ClientWrite write;
  write.value = std::move(value);
  write.expires_ms = found.expires_ms;
  return write;
}

void ReadKey(Call call, std::string_view key, base::UniqueFunction<void(Call&, Found)> use) {
  coordinator::GetRequest request = call.Get(key);
  coordinator::KvService& kv = call.shared().kv;
  kv.Get(std::move(request),
         [call = std::move(call), use = std::move(use)](base::Result<GetReply> result) mutable {
           if (!call.shared().alive) return;
           if (!result) return call.Refuse(result.error());
           use(call, Shown(std::move(*result)));
         });
}

void WriteKey(Call call, coordinator::WriteRequest request, Written done) {
  coordinator::KvService& kv = call.shared().kv;
  kv.Write(std::move(request), [call = std::move(call),
                                done = std::move(done)](base::Result<WriteReply> reply) mutable {
    if (!call.shared().alive) return;
    NoteAcks(call, reply);
    done(call, std::move(reply));
  });
}

void UpdateKey(Call call, std::string_view key, Decide decide) {
  Shared& shared = call.shared();
  auto get = call.Get(key);
  auto write = call.Write(key);
  std::string queue = get.bucket + '\n' + get.key;
  ReplyWriter writer = call.Writer();
  const UpdatePtr update = std::make_shared<Update>(
      Update{std::move(call), std::move(get), std::move(write), std::move(decide),
             shared.settings.resp_update_tries, std::move(writer), queue});
  const auto [under_way, first] = shared.updates.try_emplace(std::move(queue));
  if (first) return StartUpdate(update);
  under_way->second.push_back([update] { StartUpdate(update); });
}

void DoEach(size_t count, Piece start, coordinator::StatusDone end) {
  auto pieces = std::make_shared<Pieces>();  // co-owners: the callbacks of its pieces
  pieces->count = count;
  pieces->start = std::move(start);
  pieces->end = std::move(end);
  Pump(pieces);
}

}  // namespace lariat::frontend::resp
