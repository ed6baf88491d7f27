// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: an authority, a node's TLS, and a client that is OpenSSL alone.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "env/tls/internal/openssl.h"
#include "env/tls/issue.h"
#include "env/tls/memory_test_util.h"
#include "env/tls/tls_network.h"

namespace lariat::env::tls {

// The clock of the machine, which is what OpenSSL checks certificates by.
inline int64_t RealNow() { return static_cast<int64_t>(std::time(nullptr)); }
inline Validity Good() { return {RealNow() - 3600, RealNow() + 86400}; }

// Files of nodes and users of one authority.
struct TestAuthority {
  explicit TestAuthority(const std::string& cluster = "test", Validity validity = Good())
      : issued(*IssueAuthority(cluster, validity)) {}
  Files Of(const Issued& leaf) const {
    return {
        {leaf.certificate, "cert_file"}, {leaf.key, "key_file"}, {issued.certificate, "ca_file"}};
  }
  Files Node(const std::string& name, Validity validity = Good()) const {
    return Of(*IssueNode(issued, name, {"127.0.0.1", "localhost"}, validity));
  }
  std::shared_ptr<const Contexts> NodeContexts(const std::string& name) const {
    auto made = Contexts::Make(Node(name), name, RealNow());
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
    return *made;
  }

  Issued issued;
};

// A node's TLS in the world.
struct TestNode {
  TestNode(World& world, std::shared_ptr<const Contexts> contexts, TlsShard::Limits limits = {},
           Plain plain = Plain::kRefused)
      : shard(world.env(), std::move(contexts), limits),
        clients(world, shard, Side::kClients, plain),
        peers(world, shard, Side::kPeers, plain) {
    shard.Attach(metrics, telemetry::NullLog());
  }
  uint64_t Failed(telemetry::TlsFailure why) { return metrics.tls_failed[why].value(); }

  telemetry::Metrics metrics;
  TlsShard shard;
  TlsNetwork clients, peers;
};

// A TLS client that is only OpenSSL, so that it can do what no good client does.
class RawClient final : public StreamHandler {
 public:
  // `session`: to be taken up; null: a new one.
  RawClient(Stream& stream, SSL_CTX* context, SSL_SESSION* session = nullptr)
      : stream_(stream), ssl_(SSL_new(context)) {
    if (session != nullptr) SSL_set_session(ssl_.get(), session);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
    Go();
  }
  size_t OnData(std::string_view bytes) override {
    BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    Go();
    return bytes.size();
  }
  void OnClosed(const std::string& /*reason*/) override { closed = true; }
  void Go() {
    ERR_clear_error();
    char room[65536];
    if (SSL_is_init_finished(ssl_.get()) == 0) SSL_do_handshake(ssl_.get());
    for (int got = 0; (got = SSL_read(ssl_.get(), room, sizeof(room))) > 0;) read.append(room, got);
    if (const unsigned long error = ERR_peek_error(); error != 0) {
      trouble = ERR_reason_error_string(error) == nullptr ? "?" : ERR_reason_error_string(error);
    }
    Send();
  }
  void Write(std::string_view text) {
    SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    Send();
  }
  void Send() {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &bytes);
    if (size > 0) stream_.Write(std::string_view(bytes, static_cast<size_t>(size)));
    (void)BIO_reset(SSL_get_wbio(ssl_.get()));
  }
  SSL* ssl() { return ssl_.get(); }
  Stream& stream() { return stream_; }
  bool done() const { return SSL_is_init_finished(ssl_.get()) != 0; }

  std::string read, trouble;
  bool closed = false;

 private:
  Stream& stream_;
  Ssl ssl_;
};

inline SslContext RawContext(const std::string& ca, const Issued* leaf = nullptr) {
  SslContext context(SSL_CTX_new(TLS_client_method()));
  for (const Cert& each : ReadCertificates(ca)) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), each.get());
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (leaf != nullptr) {
    SSL_CTX_use_certificate(context.get(), ReadCertificates(leaf->certificate)[0].get());
    SSL_CTX_use_PrivateKey(context.get(), ReadKey(leaf->key).get());
  }
  return context;
}

}  // namespace lariat::env::tls
