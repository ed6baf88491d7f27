// SPDX-License-Identifier: Apache-2.0
// The Redis protocol on a connection: commands are read, put in order and given to their handlers.
// Everything that no protocol has for itself is in frontend/connection.
//
// Commands of one connection are in work together, as a pipeline of many is much cheaper so; one
// waits only for an earlier one that touches a key of it when either writes. So a client sees what
// one that waits for each reply would see.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "coordinator/kv_service.h"
#include "env/stream.h"
#include "frontend/connection/connection.h"
#include "frontend/connection/places.h"
#include "frontend/resp/internal/call.h"
#include "frontend/resp/internal/parser.h"
#include "frontend/resp/internal/session.h"
#include "frontend/resp/internal/shared.h"

namespace lariat::frontend::resp {

class RespConnection final : public connection::Connection {
 public:
  RespConnection(const std::shared_ptr<Shared>& shared, env::Stream& stream);

  Session& session() { return session_; }
  const Session& session() const { return session_; }
  const coordinator::Caller& caller() const { return caller_; }  // of the commands from now on
  void LogIn(coordinator::Caller caller);
  void ForgetWho();
  uint64_t id() const { return id_; }
  base::Instant made() const { return made_; }
  // Starts the handler of `command` when the database is there. `call` may have come as another
  // command, LARIAT.ONCE, which gives its writes the identity `once`; empty: they have none.
  void Run(const Command& command, Call call, Args args, std::string once = {});
  // Of the command whose handler runs.
  const std::string& once() const { return once_; }
  // No further command is read; for a handler.
  void EndAfterThis() { StopReading(); }
  // A command in work took so long.
  void NoteSlow(uint64_t number, int64_t micros);

 private:
  Progress Read(std::string_view bytes) override;
  void OnLate(connection::Awaiting awaited) override;
  void OnCutOff() override {}  // of bodies, which it never awaits
  connection::Reply NoRoomFor(uint64_t number) override;

  // False: it has to wait, and is read again.
  bool OnCommand(Args args);
  bool MayRun(const Command& command, Args args);
  base::Status MayEnter(const Command& command);
  bool MeetsEarlier(uint64_t key, bool write) const;
  void Note(const Command& command, Args args, uint64_t number);
  bool PromiseFor(const Command& command, Args args, uint64_t number);
  // Says what went wrong and reads no more.
  void RefuseAndStop(telemetry::RespRefusal reason, std::string_view text);

  // The start of a command in work, for SLOWLOG.
  struct Asked {
    std::string name, argument;
    size_t count = 0;
  };
  struct KeyInWork {
    uint64_t hash;
    uint64_t number;
    bool write;
  };

  Shared& shared_;
  const std::string certified_;  // whom the client's certificate names; empty: there is none
  const coordinator::Caller nobody_;
  coordinator::Caller caller_;
  const uint64_t id_;
  const base::Instant made_;
  RequestParser parser_;
  Session session_;
  std::string once_;
  base::Instant started_{};  // of the commands in the piece that is being read
  connection::Places<Asked> asked_;
  std::vector<KeyInWork> in_work_;  // and some that are not any more
  std::vector<uint64_t> keys_;      // of the command that is being read
  bool has_alone_ = false;          // nothing may overlap the command `alone_`
  uint64_t alone_ = 0;
};

}  // namespace lariat::frontend::resp
