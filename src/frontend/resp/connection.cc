// SPDX-License-Identifier: Apache-2.0
#include "frontend/resp/internal/connection.h"

#include <algorithm>
#include <utility>

namespace lariat::frontend::resp {
namespace {

using connection::Awaiting;
using telemetry::RespRefusal;

// A command with more keys than this overlaps no other one, so that few are looked through.
constexpr size_t kKeysTracked = 16;
constexpr size_t kKeysInWorkMax = 512;
// So much may be half received by everybody, always.
constexpr size_t kPartialBytesFree = 65536;
constexpr size_t kSlowTextMax = 64;

constexpr Command kUnknownCommand{
    "", nullptr, access::Door::kOpen, 0, kSecret, {}, Group::kUnknown, "", "", ""};

ParserLimits LimitsBy(const config::Settings& settings) {
  ParserLimits limits;
  limits.arguments_max = static_cast<size_t>(settings.resp_arguments_max);
  limits.bulk_bytes_max = limits.request_bytes_max =
      static_cast<size_t>(settings.resp_request_bytes_max);
  return limits;
}

// A browser that was made to send a form here: the rest of it must not be taken for commands.
bool IsHttp(Args args) {
  return EqualsIgnoringCase(args[0], "post") || EqualsIgnoringCase(args[0], "host:");
}

}  // namespace

RespConnection::RespConnection(const std::shared_ptr<Shared>& shared, env::Stream& stream)
    : Connection(shared, stream),
      shared_(*shared),
      certified_(stream.PeerIdentity()),
      nobody_("", stream.PeerAddress(), "resp"),
      caller_(nobody_),
      id_(++shared_.next_client),
      made_(shared_.env.clock.Now()),
      parser_(LimitsBy(shared_.settings)) {
  ++shared_.connections_taken;
  ForgetWho();
}

void RespConnection::LogIn(coordinator::Caller caller) {
  caller_ = std::move(caller);
  parser_.SetLimits(LimitsBy(shared_.settings));
}

void RespConnection::ForgetWho() {
  caller_ = nobody_;
  const bool limited = shared_.access.mode() == access::Mode::kOn && certified_.empty();
  if (limited) parser_.SetLimits(LimitsBeforeLogin());
}

base::Status RespConnection::MayEnter(const Command& command) {
  access::AccessService& access = shared_.access;
  if (access.mode() == access::Mode::kOff) return {};
  // At the first command: before, this node may not have known its users.
  if (caller_.who().empty() && !certified_.empty()) {
    auto named = access.ByCertificate(certified_, nobody_.from(), "resp");
    if (named) caller_ = std::move(*named);
  }
  if (!command.UsesDatabase()) return access.Check(command.door, caller_, "");
  // Its bucket is made on first use, but not for somebody who has nothing to do there.
  return access.Check(access::Door::kBucket, caller_, session_.bucket);
}

RespConnection::Progress RespConnection::Read(std::string_view bytes) {
  started_ = shared_.env.clock.Now();
  size_t used = 0;
  while (MayBegin()) {
    const RequestParser::Step step = parser_.Feed(bytes.substr(used));
    if (step.event == RequestParser::Event::kError) {
      RefuseAndStop(RespRefusal::kProtocol, parser_.error());
      return {bytes.size()};
    }
    if (step.event == RequestParser::Event::kNeedMore) {
      used += step.used;
      const size_t partial = bytes.size() - used;
      if (partial == 0) return {used};
      if (partial <= kPartialBytesFree || !shared_.room.PartialIsFull()) {
        return {used, Awaiting::kHead, partial};
      }
      RefuseAndStop(RespRefusal::kOverloaded,
                    "overloaded this shard holds too many bytes of commands that are half "
                    "received (limits.in_flight_bytes)");
      return {bytes.size()};
    }
    if (!OnCommand(parser_.args())) break;
    used += step.used;
  }
  return {used};
}

bool RespConnection::OnCommand(Args args) {
  if (IsHttp(args)) {
    RefuseAndStop(RespRefusal::kProtocol, "Protocol error: this is HTTP; its port is another one");
    return true;
  }
  std::string error;
  const Command* command = Lookup(args, &error);
  const Command& counted = command == nullptr ? kUnknownCommand : *command;
  if (!MayRun(counted, args)) return false;
  ++shared_.commands;
  const uint64_t number = Begin(started_);
  Note(counted, args, number);
  Call call(TurnOf(number), counted, started_, session_.protocol);
  if (command == nullptr) {
    call.Error(error);
    return true;
  }
  if ((command->flags & kReadonly) != 0 && command->keys.first != 0 &&
      !PromiseFor(*command, args, number)) {
    call.Refuse({base::Code::kOverloaded,
                 "this shard holds too many bytes of replies that clients "
                 "do not read (resp.output_total_bytes_max)"});
    return true;
  }
  Run(*command, std::move(call), args);
  return true;
}

bool RespConnection::PromiseFor(const Command& command, Args args, uint64_t number) {
  shared_.reply_bytes_max = shared_.kv.ValueBytesMax();
  uint64_t bytes = 0;
  ForEachKey(command, args, [&](std::string_view) { bytes += shared_.reply_bytes_max; });
  return outbox().Promise(number, std::min(bytes, shared_.limits.output_bytes_max));
}

bool RespConnection::MayRun(const Command& command, Args args) {
  keys_.clear();
  const uint64_t seed = (command.flags & kInBucket) != 0 && args.size() > 1 ? base::Hash64(args[1])
                                                                            : session_.bucket_hash;
  ForEachKey(command, args,
             [&](std::string_view key) { keys_.push_back(base::Hash64(key, seed)); });
  if (outbox().Empty()) {
    in_work_.clear();
    has_alone_ = false;
    return true;
  }
  const bool alone = (command.flags & kAlone) != 0 || keys_.size() > kKeysTracked;
  if (alone || (has_alone_ && Waits(alone_))) return MayBeginAlone();
  const bool write = (command.flags & kWrite) != 0;
  for (const uint64_t key : keys_) {
    if (MeetsEarlier(key, write)) return MayBeginAlone();
  }
  return true;
}

bool RespConnection::MeetsEarlier(uint64_t key, bool write) const {
  for (const KeyInWork& other : in_work_) {
    if (other.hash == key && (write || other.write) && Waits(other.number)) return true;
  }
  return false;
}

void RespConnection::Note(const Command& command, Args args, uint64_t number) {
  const bool not_ready = command.UsesDatabase() && !shared_.databases.Ready(session_.database);
  if ((command.flags & kAlone) != 0 || keys_.size() > kKeysTracked || not_ready) {
    has_alone_ = true;
    alone_ = number;
  } else {
    if (in_work_.size() + keys_.size() > kKeysInWorkMax) {
      std::erase_if(in_work_, [&](const KeyInWork& key) { return !Waits(key.number); });
    }
    const bool write = (command.flags & kWrite) != 0;
    for (const uint64_t key : keys_) in_work_.push_back({key, number, write});
  }
  Asked& asked = asked_.Add(outbox().first(), number);
  asked.count = args.size();
  // What is no command may be a password that was typed there.
  asked.name.assign(command.name.empty() ? "(unknown)" : args[0].substr(0, kSlowTextMax));
  const bool shown = args.size() > 1 && (command.flags & kSecret) == 0;
  if (!shown) asked.count = 1;
  asked.argument.assign(shown ? args[1].substr(0, kSlowTextMax) : std::string_view());
}

void RespConnection::Run(const Command& command, Call call, Args args, std::string once) {
  if (auto may = MayEnter(command); !may) return call.Refuse(may.error());
  if (!command.UsesDatabase() || shared_.databases.Ready(session_.database)) {
    once_ = std::move(once);
    command.handler(std::move(call), args);
    once_.clear();
    return;
  }
  // Nothing overtakes it meanwhile: see Note.
  std::vector<std::string> kept(args.begin(), args.end());
  auto run = [&command, call = std::move(call), kept = std::move(kept),
              once = std::move(once)](const base::Status& status) mutable {
    RespConnection* client = call.connection();
    if (client == nullptr || !call.shared().alive) return;
    if (!status) return call.Refuse(status.error());
    const std::vector<std::string_view> again(kept.begin(), kept.end());
    client->once_ = std::move(once);
    command.handler(std::move(call), again);
    client->once_.clear();
  };
  shared_.databases.WhenReady(shared_, session_.database, std::move(run));
}

void RespConnection::NoteSlow(uint64_t number, int64_t micros) {
  const auto most = static_cast<size_t>(shared_.settings.resp_slowlog_max);
  if (most == 0 || !Waits(number)) return;
  const Asked& asked = asked_.At(number);
  SlowCommand slow{shared_.next_slow++, shared_.env.clock.Wall(), micros, {asked.name}, {}, {}};
  if (asked.count > 1) slow.args.push_back(asked.argument);
  if (asked.count > 2) {
    slow.args.push_back("... (" + std::to_string(asked.count - 2) + " more arguments)");
  }
  slow.from = caller_.from();
  slow.client_name = session_.name;
  shared_.slow.push_front(std::move(slow));
  while (shared_.slow.size() > most) shared_.slow.pop_back();
}

void RespConnection::RefuseAndStop(RespRefusal reason, std::string_view text) {
  shared_.metrics.resp_refused[reason].Add();
  StopReading();
  const uint64_t number = Begin(started_);
  asked_.Add(outbox().first(), number) = {};
  Call call(TurnOf(number), kUnknownCommand, started_, session_.protocol);
  std::string error = "ERR ";
  call.Error(error += text);
}

connection::Reply RespConnection::NoRoomFor(uint64_t) {
  ReplyWriter writer(session_.protocol);
  writer.Error(
      "ERR overloaded this shard holds too many bytes of replies that clients do not read "
      "(resp.output_total_bytes_max)");
  return writer.Take();
}

void RespConnection::OnLate(Awaiting) {
  started_ = shared_.env.clock.Now();
  RefuseAndStop(RespRefusal::kTimeout,
                "request_timeout the command did not arrive within resp.request_timeout_ms");
}

}  // namespace lariat::frontend::resp
