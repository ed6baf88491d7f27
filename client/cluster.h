// SPDX-License-Identifier: Apache-2.0
// The cluster as this client knows it: learns the topology, follows its changes, and says whom to
// ask for a key. Lives on the thread of its loop, apart from View.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/node.h"
#include "client/topology.h"

namespace lariat::client {

// One round of looking: a status, then the rings that are in use, all from one node.
struct Look {
  std::vector<std::shared_ptr<Node>> sources;
  size_t source = 0;
  std::shared_ptr<Topology> found;
  std::vector<uint32_t> rings;  // still to be asked for
  std::string errors;
};

class Cluster {
 public:
  // `options` and `counters` must outlive it.
  Cluster(boost::asio::io_context& loop, const ClientOptions& options, Counters& counters);
  void Close();

  // Calls `then` when the topology is known, or with what is wrong when no node told it. From the
  // first call on the topology is looked at now and then.
  void WhenKnown(std::function<void(const std::string& error)> then);
  // Whom to ask for the key, the best first; never empty once the topology is known. A bucket that
  // was not seen before is looked up meanwhile.
  std::vector<std::shared_ptr<Node>> Route(const std::string& bucket, const std::string& key);
  // Something did not answer as it should: the topology may have changed.
  void LookSoon();
  // What is known of a bucket's quorums; nothing if that is not known yet. Any thread.
  std::optional<BucketView> View(const std::string& bucket) const;

 private:
  struct Bucket {
    BucketView view;
    bool known = false;
    bool asked = false;  // in the present epoch
  };
  using Page = std::function<void(const std::string* page, const std::string& error)>;
  void Fetch(const std::shared_ptr<Node>& node, std::string path, Page then);
  void Begin();
  void AskStatus();
  void OnStatus(const std::string& page);
  void AskRing();
  void NextSource(const std::string& error);
  void End();
  void Install();
  void Schedule(std::chrono::milliseconds in);
  void AskBucket(const std::string& name);
  uint32_t ReplicasOf(const std::string& bucket);
  std::vector<uint32_t> RingsInUse() const;
  std::shared_ptr<Node> NodeAt(const std::string& address, Protocol protocol);
  std::shared_ptr<Node> NodeOf(const Member& member);

  boost::asio::io_context& loop_;
  const ClientOptions& options_;
  Secure secure_;
  Counters& counters_;
  // By protocol and address. Shared with calls under way.
  std::unordered_map<std::string, std::shared_ptr<Node>> nodes_;
  std::shared_ptr<const Topology> topology_;  // null until it is known
  std::vector<std::function<void(const std::string&)>> waiting_;
  std::optional<Look> look_;  // under way
  boost::asio::steady_timer timer_;
  bool closed_ = false;
  uint32_t turn_ = 0;  // for what may be spread
  mutable std::mutex buckets_mutex_;
  std::unordered_map<std::string, Bucket> buckets_;  // written by the loop only
};

}  // namespace lariat::client
