// SPDX-License-Identifier: Apache-2.0
// Nodes for tests of the client: they answer HTTP, and LARIAT.* by RESP3, on loopback as they are
// told, tell a topology, and remember what they were asked. Each connection has a thread, which an
// answer may hold up.
#pragma once

#include <gtest/gtest.h>
#include <lariat/types.h>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/fake_listener_test_util.h"

namespace lariat::client::testing {

struct FakeRequest {
  size_t node = 0;
  std::string method;  // or the command: LARIAT.GET
  std::string target;  // without the query; "/buckets/b/kv/k" of commands too
  std::map<std::string, std::string> headers;  // names as they were sent; options of commands
  std::string body;
  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

struct FakeReply {
  int status = 200;
  std::string headers;  // whole lines
  std::string body;
  bool drop = false;  // the connection ends in the place of an answer
  std::string raw;    // of commands
};

class FakeCluster {
 public:
  using Handler = std::function<FakeReply(const FakeRequest&)>;

  explicit FakeCluster(size_t nodes, Handler handler = {}) : handler_(std::move(handler)) {
    for (size_t i = 0; i < nodes; ++i) {
      owners_.push_back(NameOf(i));
      serves_.push_back(true);
      http_.push_back(std::make_unique<FakeListener>([this, i](int fd) { ServeHttp(i, fd); }));
      resp_.push_back(std::make_unique<FakeListener>([this, i](int fd) { ServeResp(i, fd); }));
    }
    ready_.Open();
  }
  ~FakeCluster() {
    for (const Gate& gate : gates_) gate.Open();
    for (size_t i = 0; i < http_.size(); ++i) Stop(i);
  }
  FakeCluster(const FakeCluster&) = delete;
  FakeCluster& operator=(const FakeCluster&) = delete;

  static std::string NameOf(size_t i) { return "node" + std::to_string(i + 1); }
  // One that is opened at the latest when the cluster goes.
  Gate MakeGate() { return gates_.emplace_back(); }
  void Handle(Handler handler) {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }
  // Knows the first node; looks at the topology often.
  ClientOptions Options() const {
    ClientOptions options;
    options.nodes = {http_[0]->address()};
    options.refresh = std::chrono::milliseconds(20);
    return options;
  }
  void Stop(size_t i) {
    http_[i]->Stop();
    resp_[i]->Stop();
  }
  // The owners of every key, in order, from a new epoch on.
  void SetOwners(std::vector<std::string> owners) {
    const std::lock_guard lock(mutex_);
    owners_ = std::move(owners);
    ++epoch_;
  }
  void SetServes(size_t i, bool serves) {
    const std::lock_guard lock(mutex_);
    serves_[i] = serves;
  }
  // Requests for keys, in the order of their arrival.
  std::vector<FakeRequest> Asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  size_t connections() const {
    const std::lock_guard lock(mutex_);
    return connections_;
  }

 private:
  FakeReply Answer(const FakeRequest& request) {
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      if (request.target == "/v1/cluster/status") return {200, {}, Status(), false, {}};
      if (request.target == "/v1/cluster/ring") return {200, {}, Ring(), false, {}};
      if (request.target.rfind("/v1/buckets/", 0) == 0) {
        return {200, {}, R"({"n":3,"r":2,"w":2})", false, {}};
      }
      asked_.push_back(request);
      handler = handler_;
    }
    return handler ? handler(request) : FakeReply();
  }
  std::string Status() const {
    std::string out = R"({"epoch":)" + std::to_string(epoch_) + R"(,"operation":null,"nodes":[)";
    for (size_t i = 0; i < http_.size(); ++i) {
      out += (i > 0 ? R"(,{"name":")" : R"({"name":")") + NameOf(i) + R"(","http":")" +
             http_[i]->address() + R"(","resp":")" + resp_[i]->address() +
             R"(","state":"normal","alive":)" + (serves_[i] ? "true}" : "false}");
    }
    return out + "]}";
  }
  std::string Ring() const {
    std::string out = R"({"n":3,"ranges":[{"from":"0","to":"18446744073709551615","owners":[)";
    for (size_t i = 0; i < owners_.size(); ++i) out += (i > 0 ? ",\"" : "\"") + owners_[i] + '"';
    return out + "]}]}";
  }

  void Begin() {
    ready_.Wait();
    const std::lock_guard lock(mutex_);
    ++connections_;
  }
  void ServeHttp(size_t node, int fd) {
    Begin();
    FakeStream stream(fd);
    std::string line;
    while (stream.Line(line)) {
      FakeRequest request;
      request.node = node;
      const size_t space = line.find(' ');
      request.method = line.substr(0, space);
      request.target = line.substr(space + 1, line.find_first_of("? ", space + 1) - space - 1);
      while (stream.Line(line) && !line.empty()) {
        const size_t colon = line.find(": ");
        request.headers[line.substr(0, colon)] = line.substr(colon + 2);
      }
      const std::string length = request.Header("Content-Length");
      if (!length.empty() && !stream.Bytes(std::stoul(length), request.body)) return;
      const FakeReply reply = Answer(request);
      if (reply.drop) return;
      const std::string size =
          reply.status == 204 ? ""
                              : "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
      stream.Send("HTTP/1.1 " + std::to_string(reply.status) + " X\r\n" + reply.headers + size +
                  "\r\n" + reply.body);
    }
  }
  void ServeResp(size_t node, int fd) {
    Begin();
    FakeStream stream(fd);
    std::string line;
    while (stream.Line(line)) {
      std::vector<std::string> words(std::stoul(line.substr(1)));
      for (std::string& word : words) {
        if (!stream.Line(line) || !stream.Bytes(std::stoul(line.substr(1)), word)) return;
        stream.Line(line);
      }
      if (words[0] == "HELLO") {
        stream.Send("%2\r\n+proto\r\n:3\r\n+version\r\n+7.4.0\r\n");
        continue;
      }
      FakeRequest request;
      request.node = node;
      request.method = words[0];
      request.target = "/buckets/" + words[1] + "/kv/" + words[2];
      const bool put = words[0] == "LARIAT.PUT";
      if (put) request.body = words[3];
      for (size_t i = put ? 4 : 3; i + 1 < words.size(); i += 2) {
        request.headers[words[i]] = words[i + 1];
      }
      const FakeReply reply = Answer(request);
      if (reply.drop) return;
      stream.Send(reply.raw);
    }
  }

  mutable std::mutex mutex_;
  Handler handler_;
  std::vector<std::string> owners_;
  std::vector<bool> serves_;
  uint64_t epoch_ = 1;
  std::vector<FakeRequest> asked_;
  size_t connections_ = 0;
  std::list<Gate> gates_;
  Gate ready_;  // no node serves before all have their addresses
  std::vector<std::unique_ptr<FakeListener>> http_, resp_;
};

// Until the condition holds; fails the test if it does not within a long time.
inline void WaitUntil(const std::function<bool()>& condition, const char* what) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << what;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace lariat::client::testing
