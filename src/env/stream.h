// SPDX-License-Identifier: Apache-2.0
// Byte streams (TCP) without sockets: protocol code implements StreamHandler and is fed bytes, so
// it can be tested, fuzzed and simulated. All calls are made on the thread of the shard that the
// stream belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"

namespace lariat::env {

// The outgoing side, owned by the network; valid until StreamHandler::OnClosed has returned.
class Stream {
 public:
  virtual ~Stream() = default;
  // Queues bytes; everything queued in one turn of the loop leaves in one system call. Never
  // blocks. The caller watches UnsentBytes and stops producing when the peer does not read.
  virtual void Write(std::string_view bytes) = 0;
  virtual void Write(std::string&& bytes) = 0;
  void Write(const char* text) { Write(std::string_view(text)); }
  virtual size_t UnsentBytes() const = 0;
  // Stops and resumes delivery of OnData (back-pressure towards the peer). After ResumeReading
  // unconsumed bytes are given again even if nothing new arrived, never from inside the call.
  // To pause and resume within one OnData changes nothing.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
  // Sends what is queued, then closes; OnData is not called again. OnClosed follows, never from
  // inside this call. What the peer still sends is thrown away for a short while, so that the last
  // reply is not lost to a reset.
  virtual void CloseAfterWrite() = 0;
  // Closes now. OnClosed follows, never from inside this call.
  virtual void Close() = 0;
  virtual const std::string& PeerAddress() const = 0;  // "127.0.0.1:51234", for logs
  // Whom the other side's certificate names, verified: a user where clients come in, a node where
  // nodes do. Empty without TLS, without a certificate, and for a node that comes as a client. The
  // same for as long as the stream lives.
  virtual std::string_view PeerIdentity() const { return {}; }
};

// One protocol on one connection; owned by the network until it is closed.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // `bytes` is all that was received and not consumed yet. Returns how many bytes were used; the
  // rest is given again together with what arrives next. The handler bounds what it leaves: a
  // handler that can use no more of a buffer over its limit has to close the stream.
  virtual size_t OnData(std::string_view bytes) = 0;
  // All queued bytes have left.
  virtual void OnDrained() {}
  // The other side sent its last byte. By default the stream is closed after what is queued left.
  virtual bool KeepOpenAfterPeerClosed() { return false; }
  // The stream is gone; the handler is destroyed after this returns.
  virtual void OnClosed(const std::string& reason) = 0;
};

// Returns null to refuse: the connection is closed at once and nothing else is called.
using MakeHandler = base::UniqueFunction<std::unique_ptr<StreamHandler>(Stream&)>;

struct ListenOptions {
  std::string address;             // "host:port"; port 0 takes a free one
  size_t connections_max = 10000;  // further ones are closed at once and counted
  // A connection whose bytes the other side takes none of for so long is reset (TCP_USER_TIMEOUT);
  // zero leaves it to the handler. For peers: a reader that makes a pause is no dead one.
  base::Duration user_timeout{};
  // Asked when connections_max are open or no descriptor is left: closes a connection that can be
  // done without. False if there is none.
  base::UniqueFunction<bool()> make_room;
  // Told when one over the limit is refused. Result: what is sent to it, as far as it leaves at
  // once; static.
  base::UniqueFunction<std::string_view()> refuse;
  // Another shard of this process listens on this address already. Without it the address must
  // be free: a second process that takes it is an error and never a silent sharing of clients.
  bool joins_other_shard = false;
};

class Network {
 public:
  virtual ~Network() = default;
  // Accepts on this shard; several shards may listen on one address (SO_REUSEPORT). `make` is
  // called once per connection. Result: the address bound, with the real port.
  virtual base::Result<std::string> Listen(ListenOptions options, MakeHandler make) = 0;
  // Connects; one of `make` (on success) and `failed` is called, never from inside this call.
  // `address` is "host:port"; the timeout covers the look-up of the name too.
  virtual void Connect(const std::string& address, base::Duration timeout, MakeHandler make,
                       base::UniqueFunction<void(base::Error)> failed) = 0;
  // The numeric addresses, "host:port", that an address stands for now: one, unless its host is a
  // name. May call back before it returns.
  using Addresses = base::UniqueFunction<void(base::Result<std::vector<std::string>>)>;
  virtual void Resolve(const std::string& address, Addresses done) {
    done(std::vector<std::string>{address});
  }
  // Closes the listeners; open streams stay.
  virtual void StopListening() = 0;
};

}  // namespace lariat::env
