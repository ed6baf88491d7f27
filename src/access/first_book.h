// SPDX-License-Identifier: Apache-2.0
// Makes the first administrator of a cluster that has no users yet, as soon as its members can
// agree on that; whichever node comes first. On shard 0's thread.
#pragma once

#include <functional>
#include <string>

#include "access/access.h"
#include "env/env.h"
#include "telemetry/log.h"

namespace lariat::access {

class FirstBook {
 public:
  struct World {
    env::Env env;
    AccessHost& host;
    std::function<bool()> formed;  // whether the cluster is formed and this node in it
    std::function<bool()> exists;  // whether there are users
    telemetry::LogSink& log;
  };
  // `password`: as security.bootstrap_password_file holds it; empty: none is made here.
  FirstBook(World world, std::string password)
      : world_(std::move(world)), password_(std::move(password)) {}
  void Start();

 private:
  void Tick();
  void Propose(const std::string& hash);

  World world_;
  std::string password_;
  bool said_none_ = false;
};

}  // namespace lariat::access
