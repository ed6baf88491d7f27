// SPDX-License-Identifier: Apache-2.0
// The inside of a Client: one thread with one loop, on which everything but this header's calls
// runs.
#pragma once

#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "client/call.h"
#include "client/cluster.h"

namespace lariat::client {

class Engine {
 public:
  // REQUIRES: options were checked (CheckOptions).
  explicit Engine(ClientOptions options, Bug bug = Bug::kNone);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Any thread. `done` is called once: at once if the request is refused here, otherwise on the
  // client's thread. `timeout` 0: the client's.
  using Done = std::function<void(Result<Reply>)>;
  void Submit(Request request, std::chrono::milliseconds timeout, Done done);
  // Fails what is under way, and ends the thread. Any thread but the client's own.
  void Close();

  const ClientOptions& options() const { return options_; }
  Bug bug() const { return context_.bug; }
  Counters& counters() { return counters_; }
  Stats GetStats() const;
  std::optional<BucketView> View(const std::string& bucket) const { return cluster_.View(bucket); }
  std::string MakeId();  // a random UUID; any thread

 private:
  void Begin(std::shared_ptr<const Request> request, Clock::time_point deadline, Done done);
  void FailAll();

  const ClientOptions options_;
  Counters counters_;
  boost::asio::io_context loop_{1};
  CallContext context_;
  Cluster cluster_;
  std::unordered_set<std::shared_ptr<Call>> calls_;  // shared with their own timers and tries
  std::atomic<size_t> in_flight_{0};

  std::mutex mutex_;  // of what follows
  bool closed_ = false;
  std::mt19937_64 ids_;

  std::thread thread_;
};

// What is wrong with options, in words; empty: nothing.
std::string CheckOptions(const ClientOptions& options);

}  // namespace lariat::client
