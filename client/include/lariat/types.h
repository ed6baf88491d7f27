// SPDX-License-Identifier: Apache-2.0
// What is asked, how, and what comes back. Values; C++17.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace lariat {

// 1 to 256 bytes, any bytes, in a bucket: client.Get("cart"), client.Get({"users", "alice"}).
struct Key {
  Key(const char* name) : key(name) {}             // NOLINT: of the bucket "default"
  Key(std::string name) : key(std::move(name)) {}  // NOLINT
  Key(std::string in_bucket, std::string name)
      : bucket(std::move(in_bucket)), key(std::move(name)) {}
  std::string bucket = "default";
  std::string key;
};

// How many replicas have to answer. Default: what the bucket says. Any: writes only. Adaptive:
// reads only, one replica first, and more only when what it says does not cover what the session
// has seen; without a session like One.
enum class Consistency : uint8_t {
  Default,
  Any,
  One,
  Two,
  Three,
  Quorum,
  LocalOne,
  LocalQuorum,
  EachQuorum,
  All,
  Serial,
  Adaptive,
};

// One of the concurrent values of a key.
struct Sibling {
  std::string bytes;
  std::string content_type;
  std::string version;       // for people
  int64_t timestamp_ms = 0;  // when it was written; told of siblings, otherwise maybe 0
};

struct Read {
  std::vector<Sibling> values;  // at least one
  std::string context;          // opaque: covers all that is shown; for the next write
  int64_t expires_ms = 0;       // since 1970; 0: never
  bool resolved = false;        // the resolver made one value of several

  bool IsConflict() const { return values.size() > 1; }
  // Throws std::logic_error if there are siblings, which only the caller can decide about.
  const std::string& value() const {
    if (values.size() != 1) throw std::logic_error("the key has siblings: look at `values`");
    return values.front().bytes;
  }
};

struct Written {
  std::string context;  // covers what the writer had seen and this write; empty: not told
  std::string version;  // for people
  int tries = 1;        // of several, one before may have been applied on its own: docs/client.md
};

// Makes one value of several. Called on the client's thread: it must not block, nor throw. The
// resolved value is shown, not stored: the next write with the read's context stores it.
using Resolver = std::function<Sibling(const Key& key, const std::vector<Sibling>& siblings)>;

// The value that was written last; of several in one millisecond the greater bytes.
Sibling ResolveLatest(const Key& key, const std::vector<Sibling>& siblings);
// Values are sets, one element a line (order and repetitions mean nothing): their union, sorted.
Sibling ResolveSetUnion(const Key& key, const std::vector<Sibling>& siblings);

// Options are no aggregates: g++ 12 destroys an aggregate twice that is made within a co_await.
struct GetOptions {
  GetOptions(Consistency level = Consistency::Default,  // NOLINT: Get(key, Consistency::One)
             std::chrono::milliseconds limit = std::chrono::milliseconds(0))
      : consistency(level), timeout(limit) {}
  Consistency consistency;
  std::chrono::milliseconds timeout;  // for all tries together; 0: the client's
};

struct PutOptions {
  PutOptions(Consistency level = Consistency::Default) : consistency(level) {}  // NOLINT
  Consistency consistency;
  std::chrono::milliseconds timeout{0};
  std::string context;         // of the read that this write has seen; empty: none
  std::string content_type;    // kept and shown; empty: none
  std::optional<int64_t> ttl;  // seconds, 0 for never; nothing: the bucket's
  std::string if_match;        // a context: only if nothing newer is there
  bool if_absent = false;      // only if there is no value
  std::string idempotency_id;  // a UUID; empty: the client makes one (idempotent_writes)
};

struct DeleteOptions {
  DeleteOptions(Consistency level = Consistency::Default) : consistency(level) {}  // NOLINT
  Consistency consistency;
  std::chrono::milliseconds timeout{0};
  std::string context;
  std::string if_match;
  std::string idempotency_id;
};

enum class Protocol : uint8_t {
  Http,   // the raw dialect of HTTP/1.1
  Redis,  // LARIAT.GET, LARIAT.PUT and LARIAT.DEL over RESP3; the ring is still learned by HTTP
};

// For nodes that speak TLS: with an authority to believe all connections are encrypted. PEM files,
// read when the client is made.
struct TlsOptions {
  std::string ca_file;
  std::string cert_file, key_file;  // of the user, where nodes want to see them
};

struct ClientOptions {
  // HTTP addresses "host:port" of some nodes; the others are learned from them.
  std::vector<std::string> nodes{"127.0.0.1:7480"};
  Protocol protocol = Protocol::Http;
  TlsOptions tls;
  // For clusters with logins. They cross the network as they are unless nodes speak TLS.
  std::string user, password;

  std::chrono::milliseconds timeout{5000};          // of an operation, all tries together
  std::chrono::milliseconds attempt_timeout{1000};  // of one try, if another one is safe
  std::chrono::milliseconds connect_timeout{1000};
  std::chrono::milliseconds refresh{1000};  // how often the topology is looked at

  size_t max_in_flight = 1024;  // operations; one more is Code::Overloaded at once
  size_t connections_per_node = 2;
  size_t pipeline = 32;  // requests on one connection; what has no room waits here

  int attempts = 4;               // tries of one operation
  bool idempotent_writes = true;  // every write gets an id, so that a repeat is safe
  double retry_ratio = 0.1;       // retries allowed for each operation, in the long run
  double retry_burst = 100;       // and at once
  double hedge_ratio = 0.05;      // the same of second requests for reads that are slow; 0: none
  double hedge_burst = 5;         // (slower than 95 of 100 lately)
  std::chrono::milliseconds hedge_min{1};  // no read is slow before that

  Resolver resolver;  // none: reads show siblings
};

// What a client has done since it was made. Every number only grows.
struct Stats {
  uint64_t operations = 0;
  uint64_t attempts = 0;
  uint64_t retries = 0;
  uint64_t retries_refused = 0;  // by the budget
  uint64_t hedges = 0;
  uint64_t hedges_won = 0;
  uint64_t hedges_refused = 0;  // by the budget
  uint64_t overloaded = 0;      // by max_in_flight
  uint64_t timeouts = 0;        // of operations
  uint64_t connects = 0;
  uint64_t connections_lost = 0;
  uint64_t topology_changes = 0;  // another epoch was seen
  uint64_t escalations = 0;       // reads of sessions that had to ask more replicas
};

struct SessionOptions {
  size_t keys_max = 10000;  // of which contexts are kept; the one used longest ago is forgotten
};

}  // namespace lariat
