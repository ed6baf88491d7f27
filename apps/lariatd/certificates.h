// SPDX-License-Identifier: Apache-2.0
// The node's certificates: reads the three files, hands their content to the TLS of each shard, and
// takes up what has changed in them. Changed files come into use only as a whole and checked; until
// then the node goes on with what it has, and says so.
//
// Made before the loops run; Start and Reload are called on the first shard's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "env/posix/shard_loop.h"
#include "env/tls/tls_network.h"
#include "telemetry/log.h"

namespace lariat::lariatd {

class Certificates {
 public:
  // Null: no file is set, so there is no TLS. kInvalidArgument names the setting and what to do.
  static base::Result<std::unique_ptr<Certificates>> Open(const config::Settings& settings,
                                                          const std::string& node,
                                                          telemetry::LogSink& log);
  // One for each loop, in their order; the loops' streams do not outlive this.
  void AddShard(env::posix::ShardLoop& loop);
  void Attach(size_t shard, telemetry::Metrics& metrics);
  env::Network& Clients(size_t shard) { return shards_[shard]->clients; }
  env::Network& Peers(size_t shard) { return shards_[shard]->peers; }
  void Start();   // looks at the files from now on
  void Reload();  // looks at once
  void StopListening(size_t shard);

 private:
  struct Shard {
    Shard(env::posix::ShardLoop& on, std::shared_ptr<const env::tls::Contexts> contexts,
          env::tls::TlsShard::Limits limits, env::tls::Plain plain);
    env::posix::ShardLoop& loop;
    env::tls::TlsShard tls;
    env::tls::TlsNetwork clients, peers;
    telemetry::Metrics* metrics = nullptr;
  };
  enum class Haste : uint8_t { kSettle, kAtOnce };

  Certificates(const config::Settings& settings, std::string node, telemetry::LogSink& log);
  base::Result<env::tls::Files> Read() const;
  base::Status Take(env::tls::Files files);
  void Look(Haste haste);
  void Watch();
  void Complain(const std::string& why);
  void ShowTime();
  env::Env env() { return shards_[0]->loop.env(); }

  const config::Settings settings_;
  const std::string node_;
  telemetry::LogSink& log_;
  std::shared_ptr<const env::tls::Contexts> contexts_;  // co-owned by shards and connections
  env::tls::Files in_use_;
  env::tls::Files seen_;  // other than in use, at the last look
  std::string complaint_;
  int64_t warned_day_ = 0;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace lariat::lariatd
