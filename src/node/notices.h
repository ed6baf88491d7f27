// SPDX-License-Identifier: Apache-2.0
// What shard 0 says of its node to everybody in the process: other shards, operators, the program.
// Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "peers/watch.h"
#include "topology/changes.h"

namespace lariat::node {

class Notices {
 public:
  // No new work is ready to come; /readyz says so.
  void SetDraining(bool on) { draining_.store(on); }
  bool draining() const { return draining_.load(); }
  // The process has stood aside, and may begin anew on the same data directory.
  void WantRestart() { wants_restart_.store(true); }
  bool wants_restart() const { return wants_restart_.load(); }
  // Why this process must end: its data directory is a copy, or an old one. Null: it need not.
  void Refuse(const std::string& why) { Store(&refused_, why); }
  std::shared_ptr<const std::string> refused() const { return std::atomic_load(&refused_); }
  // What keeps the node from serving, in words; empty once it is in a cluster.
  void SetWaitingFor(const std::string& what) { Store(&waiting_for_, what); }
  std::string WaitingFor() const {
    const auto text = std::atomic_load(&waiting_for_);
    return text ? *text : "starting";
  }
  // What was last seen of the change under way; null if nothing was.
  void Publish(std::shared_ptr<const topology::ChangesSeen> seen) {
    std::atomic_store(&changes_seen_, std::move(seen));
  }
  std::shared_ptr<const topology::ChangesSeen> changes_seen() const {
    return std::atomic_load(&changes_seen_);
  }
  void Publish(std::shared_ptr<const peers::PeersSeen> seen) {
    std::atomic_store(&peers_seen_, std::move(seen));
  }
  std::shared_ptr<const peers::PeersSeen> peers_seen() const {
    return std::atomic_load(&peers_seen_);
  }

 private:
  static void Store(std::shared_ptr<const std::string>* to, const std::string& text) {
    std::atomic_store(to, std::make_shared<const std::string>(text));
  }

  std::atomic<bool> draining_{false};
  std::atomic<bool> wants_restart_{false};
  // Each is read and replaced atomically, and co-owned by readers.
  std::shared_ptr<const std::string> refused_, waiting_for_;
  std::shared_ptr<const topology::ChangesSeen> changes_seen_;
  std::shared_ptr<const peers::PeersSeen> peers_seen_;
};

}  // namespace lariat::node
