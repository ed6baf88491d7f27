// SPDX-License-Identifier: Apache-2.0
// The seam to a protocol: requests and replies as the client sees them, and a Wire that turns them
// into bytes of one pipelined connection and back. Everything else of the client knows no protocol.
#pragma once

#include <lariat/result.h>
#include <lariat/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::client {

struct Request {
  enum class Op : uint8_t { kGet, kPut, kDelete, kFetch };
  Op op = Op::kGet;
  std::string bucket;
  std::string key;
  std::string value;
  std::string content_type;
  std::string context;  // of a read: what the answer has to cover, where the node knows how
  std::string if_match;
  bool if_absent = false;
  std::optional<int64_t> ttl;
  std::string id;  // makes a write safe to repeat
  Consistency level = Consistency::Default;
  uint32_t n = 3;    // replicas of the bucket: levels in numbers
  std::string path;  // of kFetch: a page about the cluster

  bool IsRead() const { return op == Op::kGet || op == Op::kFetch; }
  bool IsRepeatable() const { return IsRead() || !id.empty(); }
};

struct Reply {
  Code code = Code::Ok;
  std::string message;                    // of an error
  std::chrono::milliseconds retry_in{0};  // the node asks for a pause
  std::vector<Sibling> values;            // of a read; of kFetch the page
  std::string context;
  std::string version;
  int64_t expires_ms = 0;
  int tries = 1;  // said by the call, not by a wire
};

// One for each connection, since a reply may come in pieces. Not thread-safe.
class Wire {
 public:
  enum class State : uint8_t {
    kMore,    // the next reply is not whole
    kReply,   // `reply` is whole
    kLast,    // the same, and the other side closes the connection after it
    kBroken,  // what came is no reply
  };
  struct Decoded {
    State state = State::kMore;
    size_t used = 0;  // bytes from the front that need not be shown again, in every state
    Reply reply;
  };

  virtual ~Wire() = default;
  // What a new connection says first; its reply counts like that of a request.
  virtual std::string Greeting() const { return {}; }
  // Appends the request. `time`: the node should not work on it for longer.
  virtual void Encode(const Request& request, std::chrono::milliseconds time,
                      std::string& out) const = 0;
  // Looks at the front of what came.
  virtual Decoded Decode(std::string_view in) = 0;
};

// What is wrong with a request whatever the node says, or cannot be said in the protocol, in words;
// empty: nothing.
std::string Invalid(const Request& request, Protocol protocol);

struct Login {
  std::string user, password;  // no user: nobody logs in
};

// `host`: "host:port", for the Host header.
std::unique_ptr<Wire> MakeHttpWire(const std::string& host, const Login& login = {});
std::unique_ptr<Wire> MakeRespWire(Login login = {});

// By the code's text in an error ("insufficient_replicas"); if it is not known, by the HTTP status,
// 0 if there is none.
Code CodeOf(std::string_view text, int status);
std::string_view NameOf(Consistency level);  // "QUORUM"; empty for the default

}  // namespace lariat::client
