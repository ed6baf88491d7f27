// SPDX-License-Identifier: Apache-2.0
// The receiving side of a topology change with its timers: keeps TransferCore going. Everything it
// needs from the node comes through TransferPort.
//
// Threads: one thread, that of the Env given; callbacks of the port come on it too.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"
#include "env/env.h"
#include "repair/transfer_core.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace lariat::repair {

class TransferPort {
 public:
  virtual ~TransferPort() = default;

  // Each `done` comes exactly once, at once or later. Only OnTransferChanged may call back into
  // Transfer.
  using PageDone = base::UniqueFunction<void(base::Result<wire::RangePage>)>;
  // Sends the request to the member with this number. An error (no connection, no reply in time)
  // says in its message what is wrong with the member, for people: "node2 is down".
  virtual void Pull(uint64_t source, wire::RangePull request, base::Duration timeout,
                    PageDone done) = 0;
  using StatusDone = base::UniqueFunction<void(base::Status)>;
  // Joins the object into the record, on the shard that owns the token: ok when it is durable
  // (Replica::Write with AckWhen::kSynced, whatever the bucket's durability is: the source may
  // forget the record afterwards).
  struct Record {
    uint32_t bucket = 0;
    ring::Token token;
    std::string key;  // the client's
    std::string object;
  };
  virtual void WriteLocal(Record record, StatusDone done) = 0;

  // Small values of this node's own (replica::MetaStore does both).
  using Values = std::vector<std::pair<std::string, std::string>>;
  using ValuesDone = base::UniqueFunction<void(base::Result<Values>)>;
  virtual void LoadCursors(std::string prefix, ValuesDone done) = 0;
  struct CursorUpdate {
    std::string name;
    std::optional<std::string> value;  // nothing: removed
  };
  virtual void SaveCursors(std::vector<CursorUpdate> updates, StatusDone done) = 0;

  // How long the clients' requests of this node took since the last call, on average; nothing if
  // there were none. Asked every second while a transfer runs.
  virtual std::optional<base::Duration> ForegroundLatency() = 0;
  // The transfer of this change is finished, or its trouble changed: whoever drives the change may
  // want to know at once.
  virtual void OnTransferChanged() = 0;
};

class Transfer {
 public:
  Transfer(env::Env env, TransferPort& port, telemetry::Metrics& metrics, telemetry::LogSink& log,
           const config::Settings& settings);
  ~Transfer();

  // Begins, or goes on after the last confirmed keys, unless `anew`. The same change again is
  // ignored. Another change ends the one before it. An empty plan is finished at once.
  void Start(TransferPlan plan, bool anew = false);
  // No change is in its streaming phase (any more): ends what runs and deletes all stored cursors.
  // May be called as often as one likes.
  void Stop();
  void ApplySettings(const config::Settings& settings);

  uint64_t change() const { return core_ ? core_->change() : 0; }  // 0: none
  bool Finished() const { return core_ && loaded_ && core_->Finished(); }
  TransferProgress Progress() const;

 private:
  void Load();
  void OnLoaded(const TransferPort::Values& values);
  void DeleteCursors(std::vector<std::string> names);
  // Pump once in this turn of the loop, after whatever else happens in it.
  void SchedulePump();
  void Pump();
  void Ask(TransferCore::Ask ask);
  void Write(TransferCore::Write write);
  void Save(std::vector<TransferCore::Save> saves);
  void ArmTimer();
  void OnTimer();
  void CountNews();
  void TellNews();
  // `use`, unless another transfer has begun or this object is gone by then.
  template <typename Use>
  auto IfCurrent(Use use);

  env::Env env_;
  TransferPort& port_;
  telemetry::Metrics& metrics_;
  telemetry::LogSink& log_;
  TransferOptions options_;
  base::Duration timeout_{};
  std::unique_ptr<TransferCore> core_;
  bool anew_ = false;  // stored cursors count for nothing
  bool loading_ = false;
  bool loaded_ = false;  // the stored cursors are known
  std::string load_trouble_;
  bool clean_ = false;  // nothing runs and no cursor is stored
  bool pump_scheduled_ = false;
  env::TimerId timer_ = 0;
  base::Instant second_began_{};
  TransferCore::Counts counted_;
  bool told_finished_ = false;
  std::string told_trouble_;
  std::shared_ptr<uint64_t> life_;  // counts transfers; watched by callbacks
};

}  // namespace lariat::repair
