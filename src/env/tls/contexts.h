// SPDX-License-Identifier: Apache-2.0
// A node's certificate, its key and the authorities that it believes, ready for connections. Never
// changes: changed files make another one, and the connections that exist keep theirs. Shared by
// the shards' threads (co-owners: TlsShard and the connections).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

struct ssl_ctx_st;
struct x509_st;

namespace lariat::env::tls {

// The content of a file, and the words that name it in errors ("security.cert_file = /a/b").
struct Pem {
  std::string text;
  std::string where;
};
struct Files {
  Pem cert, key, ca;
};

// What a connection is for.
enum class Role : uint8_t {
  kDoor,     // a client came; it may have a certificate
  kVisitor,  // we are the client of a node
  kPeerIn,   // a node came; both sides show the certificates of nodes
  kPeerOut,  // we came to a node
};

// What a connection hears while its handshake goes on; it is the app data of its SSL.
class Witness {
 public:
  // Whether the certificate, whose signatures are good, is of somebody who may come in.
  virtual bool Believes(const x509_st* certificate) = 0;
  virtual void OnSignature() = 0;  // one was made with our private key

 protected:
  ~Witness() = default;
};

class Contexts {
 public:
  // Checks all of it: that the key fits, the authority has signed, the time is right (`now_s`,
  // seconds since 1970), and the certificate names the node `node`. kInvalidArgument with words
  // that name the file and what to do.
  static base::Result<std::shared_ptr<const Contexts>> Make(const Files& files,
                                                            const std::string& node, int64_t now_s);
  ~Contexts();
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;

  ssl_ctx_st* For(Role role) const;
  // Whom the other side's certificate, whose signature is good, names (Stream::PeerIdentity). An
  // error: it must not come in, in words.
  base::Result<std::string> Identify(const x509_st* certificate, Role role) const;
  // When the first certificate of the node or its authorities expires, seconds since 1970.
  int64_t expires_s() const;
  const std::string& cluster() const;  // the label in the node's certificate

 private:
  struct Impl;
  explicit Contexts(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::env::tls
