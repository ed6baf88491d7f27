// SPDX-License-Identifier: Apache-2.0
// One client of the traffic. Internal to this folder.
#pragma once

#include "sim/check/writes.h"
#include "sim/traffic/traffic.h"

namespace lariat::sim {

class Traffic::Client {
 public:
  Client(Traffic& traffic, int number, uint64_t seed);
  void ThinkThenAct();

 private:
  // What the client knows of a key: a context, and the tokens that it was shown with it.
  struct Knowledge {
    std::optional<std::string> context;
    std::vector<int> seen;
  };
  // A put or delete, through all its attempts.
  struct Order {
    std::string key;
    int token = 0;
    bool is_delete = false;
    std::optional<std::string> context;
    std::optional<std::string> if_match;
    bool if_none_match = false;
    std::optional<int64_t> w;  // more than the bucket asks for
    std::optional<bool> sloppy;
    std::optional<int64_t> ttl_s;
    std::string idempotency_key;
    int attempts_left = 1;
    bool again_at_once = false;  // repeats without waiting for the answer
    int under_way = 0;
    int not_done = 0;
    int attempts = 0;
    std::string first_context;  // of the first acknowledgement
  };
  using OrderRef = std::shared_ptr<Order>;  // co-owned by the callbacks of its attempts

  void Act();
  void Read(const std::string& key);
  void List();
  void OnPage(base::Instant started, const coordinator::ListRequest& asked,
              const coordinator::ListReply& page);
  OrderRef NewOrder(const std::string& key, bool is_delete);
  void Put(const std::string& key, bool with_context);
  void Delete(const std::string& key);
  void Conditional(const std::string& key);
  void Idempotent(const std::string& key);
  void Try(const OrderRef& order);
  void Submit(const OrderRef& order, uint64_t attempt, size_t machine, uint32_t shard);
  void OnAnswer(const OrderRef& order, uint64_t attempt, size_t machine, uint32_t shard,
                base::Result<coordinator::WriteReply> reply);
  void Acknowledge(const OrderRef& order, coordinator::WriteReply reply);
  Acknowledgement AckOf(const Order& order, const coordinator::WriteReply& reply) const;
  void OnOutcome(const OrderRef& order, Outcome outcome);
  // For some requests a number of replicas above the bucket's.
  std::optional<int64_t> MoreThan(int64_t replicas);
  // In a sloppy bucket some requests ask for replicas alone.
  std::optional<bool> StrictOrNot();
  // A machine to ask; false if it is down, which the client notices at once.
  bool PickMachine(size_t* machine, uint32_t* shard);
  template <typename Task>
  void AtMachine(size_t machine, uint32_t shard, Task task);
  void Note(const std::string& key, const std::string& text);
  Write& WriteOf(const Order& order);
  base::Duration Latency();
  base::Duration Patience() const;

  Traffic& traffic_;
  Cluster& cluster_;
  int number_;
  base::Prng prng_;
  std::map<std::string, Knowledge> knowledge_;
  std::string cursor_;  // of the walk through the bucket that this client is on
};

}  // namespace lariat::sim
