// SPDX-License-Identifier: Apache-2.0
#include "env/tls/contexts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "env/tls/internal/openssl.h"
#include "env/tls/names.h"

namespace lariat::env::tls {

using base::Code;
using base::Fail;

namespace {

// Of TLS 1.2. All of 1.3 are good.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr long kTicketSeconds = 3600;

std::optional<Name> FirstOf(const std::vector<Name>& names, Name::Kind kind) {
  const auto found = std::find_if(names.begin(), names.end(),
                                  [kind](const Name& name) { return name.kind == kind; });
  return found == names.end() ? std::nullopt : std::optional(*found);
}

tl::unexpected<base::Error> Bad(const Pem& file, std::string_view what) {
  return Fail(Code::kInvalidArgument, fmt::format("{} {}", file.where, what));
}

base::Status CheckTime(const X509* certificate, const Pem& file, int64_t now_s) {
  if (NotAfter(certificate) <= now_s) {
    return Bad(file, fmt::format("has expired, {} days ago. Make a new one (lariat cert node, with "
                                 "--force) and put it in its place",
                                 (now_s - NotAfter(certificate)) / 86400));
  }
  if (NotBefore(certificate) > now_s) {
    return Bad(file, "is not valid yet. Is the clock of this machine right?");
  }
  return {};
}

// The other side's certificate is good; is it whom we want to speak to? So the handshake itself
// fails, and the other side hears of it.
int Verify(X509_STORE_CTX* store, void* /*unused*/) {
  if (X509_verify_cert(store) != 1) return 0;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* witness = static_cast<Witness*>(SSL_get_app_data(ssl));
  if (witness->Believes(X509_STORE_CTX_get0_cert(store))) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

void OnState(const SSL* ssl, int where, int /*result*/) {
  if ((where & SSL_CB_LOOP) == 0) return;
  const OSSL_HANDSHAKE_STATE now = SSL_get_state(ssl);
  const bool signs = now == TLS_ST_SW_CERT_VRFY || now == TLS_ST_CW_CERT_VRFY ||
                     (now == TLS_ST_SW_KEY_EXCH && SSL_version(ssl) == TLS1_2_VERSION);
  if (signs) static_cast<Witness*>(SSL_get_app_data(ssl))->OnSignature();
}

}  // namespace

struct Contexts::Impl {
  std::vector<Cert> chain;  // the node's own first
  Key key;
  std::vector<Cert> authorities;
  Store store;
  SslContext door, peer_in, out;
  std::string cluster;
  int64_t expires_s = 0;

  base::Status Read(const Files& files, int64_t now_s);
  base::Status CheckSigned(const Files& files) const;
  base::Status CheckName(const Files& files, const std::string& node);
  base::Result<SslContext> MakeContext(bool server) const;
  base::Status MakeContexts();
};

base::Status Contexts::Impl::Read(const Files& files, int64_t now_s) {
  chain = ReadCertificates(files.cert.text);
  if (chain.empty()) return Bad(files.cert, "holds no certificate in PEM format");
  key = ReadKey(files.key.text);
  if (key == nullptr) {
    return Bad(files.key, "holds no private key in PEM format (one with a password is not taken)");
  }
  authorities = ReadCertificates(files.ca.text);
  if (authorities.empty()) return Bad(files.ca, "holds no certificate in PEM format");
  if (X509_check_private_key(chain[0].get(), key.get()) != 1) {
    ERR_clear_error();
    return Bad(files.key, "is not the key of " + files.cert.where +
                              ". Give the two files that were made together");
  }
  expires_s = NotAfter(chain[0].get());
  for (const Cert& each : chain) {
    if (auto status = CheckTime(each.get(), files.cert, now_s); !status) return status;
    expires_s = std::min(expires_s, NotAfter(each.get()));
  }
  store.reset(X509_STORE_new());
  for (const Cert& each : authorities) {
    if (auto status = CheckTime(each.get(), files.ca, now_s); !status) return status;
    expires_s = std::min(expires_s, NotAfter(each.get()));
    X509_STORE_add_cert(store.get(), each.get());
  }
  // Where an authority has revoked anything, each has to have said what.
  for (const Crl& each : ReadRevocations(files.ca.text)) {
    X509_STORE_add_crl(store.get(), each.get());
    X509_STORE_set_flags(store.get(), X509_V_FLAG_CRL_CHECK);
  }
  return {};
}

// Whoever trusts the authorities has to be able to trust this node, as a server and as a client.
base::Status Contexts::Impl::CheckSigned(const Files& files) const {
  STACK_OF(X509)* between = sk_X509_new_null();
  for (size_t i = 1; i < chain.size(); ++i) sk_X509_push(between, chain[i].get());
  std::string why;
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    X509_STORE_CTX* check = X509_STORE_CTX_new();
    X509_STORE_CTX_init(check, store.get(), chain[0].get(), between);
    X509_STORE_CTX_set_purpose(check, purpose);
    if (X509_verify_cert(check) != 1) {
      why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(check));
    }
    X509_STORE_CTX_free(check);
  }
  sk_X509_free(between);
  ERR_clear_error();
  if (why.empty()) return {};
  return Bad(files.cert, fmt::format("is not what {} vouches for as a node: {}. Give the authority "
                                     "that signed it",
                                     files.ca.where, why));
}

base::Status Contexts::Impl::CheckName(const Files& files, const std::string& node) {
  const auto own = FirstOf(NamesIn(chain[0].get()), Name::Kind::kNode);
  if (!own) {
    return Bad(files.cert, fmt::format("names no node. It needs the URI {} (lariat cert node makes "
                                       "such)",
                                       ToUri({Name::Kind::kNode, "CLUSTER", node})));
  }
  if (own->name != node) {
    return Bad(files.cert, fmt::format("is that of the node '{}', and this node is '{}'. Give it "
                                       "its own (lariat cert node DIR {})",
                                       own->name, node, node));
  }
  cluster = own->cluster;
  return {};
}

base::Result<SslContext> Contexts::Impl::MakeContext(bool server) const {
  SslContext made(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX* context = made.get();
  bool good = context != nullptr && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_cipher_list(context, kCiphers) == 1 &&
              SSL_CTX_use_certificate(context, chain[0].get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  for (size_t i = 1; good && i < chain.size(); ++i) {
    good = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  }
  for (const Cert& each : authorities) {
    if (good && server) good = SSL_CTX_add_client_CA(context, each.get()) == 1;
  }
  if (!good) return Fail(Code::kInvalidArgument, "the certificate is no good: " + LastErrorText());
  SSL_CTX_set1_cert_store(context, store.get());
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // an idle connection holds none
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_cert_verify_callback(context, Verify, nullptr);
  SSL_CTX_set_info_callback(context, OnState);
  return made;
}

base::Status Contexts::Impl::MakeContexts() {
  for (auto [context, server] : {std::pair(&door, true), {&peer_in, true}, {&out, false}}) {
    auto made = MakeContext(server);
    if (!made) return Fail(made.error());
    *context = std::move(*made);
  }
  // Sessions are kept by the clients, in tickets that all shards can read.
  SSL_CTX_set_verify(door.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_num_tickets(door.get(), 1);
  SSL_CTX_set_timeout(door.get(), kTicketSeconds);
  constexpr std::array<unsigned char, 6> kSessions = {'l', 'a', 'r', 'i', 'a', 't'};
  SSL_CTX_set_session_id_context(door.get(), kSessions.data(), kSessions.size());
  // Peers connect once, and are to show who they are each time.
  SSL_CTX_set_verify(peer_in.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_options(peer_in.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(peer_in.get(), 0);
  SSL_CTX_set_verify(out.get(), SSL_VERIFY_PEER, nullptr);
  return {};
}

Contexts::Contexts(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Contexts::~Contexts() = default;

base::Result<std::shared_ptr<const Contexts>> Contexts::Make(const Files& files,
                                                             const std::string& node,
                                                             int64_t now_s) {
  auto impl = std::make_unique<Impl>();
  if (auto status = impl->Read(files, now_s); !status) return Fail(status.error());
  if (auto status = impl->CheckSigned(files); !status) return Fail(status.error());
  if (auto status = impl->CheckName(files, node); !status) return Fail(status.error());
  if (auto status = impl->MakeContexts(); !status) return Fail(status.error());
  return std::shared_ptr<const Contexts>(new Contexts(std::move(impl)));
}

ssl_ctx_st* Contexts::For(Role role) const {
  switch (role) {
    case Role::kDoor:
      return impl_->door.get();
    case Role::kPeerIn:
      return impl_->peer_in.get();
    case Role::kVisitor:
    case Role::kPeerOut:
      break;
  }
  return impl_->out.get();
}

base::Result<std::string> Contexts::Identify(const x509_st* certificate, Role role) const {
  const std::vector<Name> names = NamesIn(certificate);
  const auto node = FirstOf(names, Name::Kind::kNode);
  const bool peer = role == Role::kPeerIn || role == Role::kPeerOut;
  if (peer && !node) {
    return Fail(Code::kConflict, fmt::format("the certificate of '{}' names no node: only nodes of "
                                             "the cluster speak to the peer port",
                                             CommonName(certificate)));
  }
  const auto user = FirstOf(names, Name::Kind::kUser);
  const auto& named = node ? node : user;
  if (named && named->cluster != impl_->cluster) {
    return Fail(Code::kConflict,
                fmt::format("the certificate of '{}' is for the cluster '{}', this "
                            "one is '{}'",
                            named->name, named->cluster, impl_->cluster));
  }
  if (peer) return node->name;
  // A node that looks whether it is reached is no user, whatever its name.
  if (node || role == Role::kVisitor) return "";
  return user ? user->name : CommonName(certificate);
}

int64_t Contexts::expires_s() const { return impl_->expires_s; }
const std::string& Contexts::cluster() const { return impl_->cluster; }

}  // namespace lariat::env::tls
