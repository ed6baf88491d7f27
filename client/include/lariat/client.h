// SPDX-License-Identifier: Apache-2.0
// The C++ client of Lariat. Knows the ring and sends each request to a live replica of its key,
// over pooled and pipelined connections; follows changes of the topology; repeats what is safe to
// repeat, within a budget; asks a second replica when a read is slow.
//
//   lariat::Client client({});                        // options: lariat/types.h
//   auto read = client.Get("greeting").Get();         // or Then(...), or co_await
//   lariat::Blocking sync(client);                    // or this, which waits by itself
//
// Every call of every class here is safe from any thread. Header clean in C++17. docs/client.md
// explains what is promised.
#pragma once

#include <lariat/future.h>
#include <lariat/result.h>
#include <lariat/types.h>

#include <memory>
#include <string>

namespace lariat {

namespace client {
class Engine;
class SessionMemory;
}  // namespace client

class Session;

class Client {
 public:
  // Connects when it is first used. Throws std::invalid_argument for options that make no sense
  // (no address, a limit of 0), with words.
  explicit Client(ClientOptions options);
  // Ends what is under way: with Code::Closed. Not from the client's own thread, that is, not from
  // what is done with its futures.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Future<Result<Read>> Get(Key key, GetOptions options = {});
  // `value`: up to 1 MiB.
  Future<Result<Written>> Put(Key key, std::string value, PutOptions options = {});
  Future<Result<Written>> Delete(Key key, DeleteOptions options = {});

  // May outlive the client: then its calls end in Code::Closed.
  Session NewSession(SessionOptions options = {});
  Stats GetStats() const;

 private:
  // Shared with sessions and with what is under way.
  std::shared_ptr<client::Engine> engine_;
};

// Remembers, for each key, what it has read and written, and so promises without stickiness to a
// node: reads show its own writes (read-your-writes) and never an older state than it has seen
// (monotonic reads); writes carry what was seen as their context, unless they are given another.
// Copies are one session. What is promised by which level: docs/client.md.
class Session {
 public:
  Future<Result<Read>> Get(Key key, GetOptions options = {});
  Future<Result<Written>> Put(Key key, std::string value, PutOptions options = {});
  Future<Result<Written>> Delete(Key key, DeleteOptions options = {});

 private:
  friend class Client;
  Session(std::shared_ptr<client::Engine> engine, SessionOptions options);
  // Both shared with reads and writes under way.
  std::shared_ptr<client::Engine> engine_;
  std::shared_ptr<client::SessionMemory> memory_;
};

// The same calls for a Client or a Session, each of which waits for its result. Not from the
// client's own thread. `of` must outlive it.
template <typename Of>
class Blocking {
 public:
  explicit Blocking(Of& of) : of_(of) {}
  Result<Read> Get(Key key, GetOptions options = {}) {
    return of_.Get(std::move(key), options).Get();
  }
  Result<Written> Put(Key key, std::string value, PutOptions options = {}) {
    return of_.Put(std::move(key), std::move(value), std::move(options)).Get();
  }
  Result<Written> Delete(Key key, DeleteOptions options = {}) {
    return of_.Delete(std::move(key), std::move(options)).Get();
  }

 private:
  Of& of_;
};

}  // namespace lariat
