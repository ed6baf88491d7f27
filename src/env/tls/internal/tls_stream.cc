// SPDX-License-Identifier: Apache-2.0
#include "env/tls/internal/tls_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lariat::env::tls {

using base::Code;
using telemetry::TlsFailure;

namespace {

constexpr size_t kRecordBytes = 16384;
constexpr size_t kPlainBytes = 64 * 1024 + kRecordBytes;  // what the stream below brings at once
constexpr size_t kIdleBytes = 4096;  // a buffer larger than this is given back when empty
constexpr size_t kMoveBytes = 32 * 1024;

// To a browser or a script that has left out the s of https, and to nobody else.
std::string SpeakTls() {
  const std::string_view body =
      R"({"error":{"code":"invalid_argument","message":"this port speaks TLS: use https://, or )"
      R"(lariat with --ca FILE"}})";
  return fmt::format(
      "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      body.size(), body);
}

// --- between OpenSSL and the stream below --------------------------------------------------------

int ReadBio(BIO* bio, char* to, int room) {
  BIO_clear_retry_flags(bio);
  const size_t got =
      static_cast<TlsStream*>(BIO_get_data(bio))->Take(to, static_cast<size_t>(room));
  if (got > 0) return static_cast<int>(got);
  BIO_set_retry_read(bio);
  return -1;
}

int WriteBio(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<TlsStream*>(BIO_get_data(bio))->cipher().append(from, static_cast<size_t>(size));
  return size;
}

long ControlBio(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* MakeBioMethod() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lariat stream");
  BIO_meth_set_read(method, ReadBio);
  BIO_meth_set_write(method, WriteBio);
  BIO_meth_set_ctrl(method, ControlBio);
  return method;
}

BIO* MakeBio(TlsStream* stream) {
  static BIO_METHOD* const kMethod = MakeBioMethod();
  BIO* bio = BIO_new(kMethod);
  BIO_set_data(bio, stream);
  BIO_set_init(bio, 1);
  return bio;
}

bool IsServer(Role role) { return role == Role::kDoor || role == Role::kPeerIn; }

}  // namespace

TlsStream::TlsStream(TlsShard& shard, Stream& below, Purpose purpose)
    : shard_(shard),
      below_(below),
      purpose_(std::move(purpose)),
      contexts_(shard.contexts()),
      ssl_(SSL_new(contexts_->For(purpose_.role))) {
  LARIAT_CHECK(ssl_ != nullptr, "OpenSSL has no memory for a connection");
  BIO* bio = MakeBio(this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), static_cast<Witness*>(this));
  shard_.Begin(this, purpose_.role);
  deadline_ = shard_.env().timers.After(purpose_.timeout, [this] {
    deadline_ = 0;
    FailHandshake({TlsFailure::kTimeout, "the TLS handshake was not done in time"});
  });
  if (IsServer(purpose_.role)) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
    Step();
  }
}

// Without an OnClosed before it the loop has ended, and others may be gone already.
TlsStream::~TlsStream() {
  if (deadline_ != 0) shard_.env().timers.Cancel(deadline_);
}

// --- the handshake -------------------------------------------------------------------------------

void TlsStream::GoOn() {
  queued_ = false;
  granted_ = true;
  below_.ResumeReading();
}

void TlsStream::Step() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
  SendCipher();
  if (error == SSL_ERROR_NONE) return Established();
  if (error == SSL_ERROR_WANT_READ) return;
  FailHandshake(Explain(error));
}

void TlsStream::Established() {
  EndHandshake();
  shard_.metrics().tls_handshakes.Add();
  if (SSL_session_reused(ssl_.get()) == 1) shard_.metrics().tls_resumed.Add();
  if (const X509* certificate = SSL_get0_peer_certificate(ssl_.get())) {
    auto named = contexts_->Identify(certificate, purpose_.role);
    // Of a session that is taken up nobody else looks at the certificate.
    if (named && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
      named = base::Fail(Code::kConflict, "the other side's certificate has expired");
    }
    if (!named) {
      shard_.Tell(TlsFailure::kIdentity, PeerAddress(), named.error().message);
      return Break(std::move(named.error().message));
    }
    identity_ = std::move(*named);
  }
  above_ = (*purpose_.make)(*this);
  purpose_.failed = {};
  if (above_ == nullptr) Close();
}

void TlsStream::EndHandshake() {
  handshaking_ = false;
  shard_.env().timers.Cancel(std::exchange(deadline_, 0));
  shard_.End(this, purpose_.role);
}

void TlsStream::FailHandshake(Trouble trouble) {
  EndHandshake();
  shard_.Tell(trouble.reason, PeerAddress(), trouble.words);
  if (purpose_.role == Role::kDoor) below_.Write(trouble.answer);
  Break(std::move(trouble.words));
}

bool TlsStream::Believes(const X509* certificate) {
  auto named = contexts_->Identify(certificate, purpose_.role);
  if (!named) reason_ = std::move(named.error().message);
  return named.has_value();
}

// Why OpenSSL would not go on, in words.
TlsStream::Trouble TlsStream::Explain(int error) const {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return {TlsFailure::kClosed, "the other side closed"};
  const int reason = ERR_GET_REASON(first);
  const char* text = ERR_reason_error_string(first);
  const std::string said = text == nullptr ? "no reason given" : text;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
      return {TlsFailure::kNotTls, "the other side speaks plain HTTP", SpeakTls()};
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
      return {TlsFailure::kNotTls, "the other side does not speak TLS"};
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return {TlsFailure::kOldVersion, "the other side speaks no TLS of version 1.2 or above"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return {TlsFailure::kCertificate, "the other side shows no certificate"};
    case SSL_R_CERTIFICATE_VERIFY_FAILED: {
      if (!reason_.empty()) return {TlsFailure::kIdentity, reason_};
      const long why = SSL_get_verify_result(ssl_.get());
      return {TlsFailure::kCertificate, fmt::format("the other side's certificate is no good: {}",
                                                    X509_verify_cert_error_string(why))};
    }
    default:
      break;
  }
  if (reason >= SSL_AD_REASON_OFFSET) {
    return {TlsFailure::kRefused, fmt::format("the other side refused: {}", said)};
  }
  return {TlsFailure::kOther, fmt::format("TLS failed: {}", said)};
}

// --- reading -------------------------------------------------------------------------------------

size_t TlsStream::Take(char* to, size_t room) {
  const size_t count = std::min(room, input_.size());
  std::memcpy(to, input_.data(), count);
  input_.remove_prefix(count);
  return count;
}

size_t TlsStream::OnData(std::string_view bytes) {
  if (ended_) return bytes.size();
  if (handshaking_ && !std::exchange(granted_, false)) {
    below_.PauseReading();
    if (!std::exchange(queued_, true)) shard_.Queue(this, purpose_.role);
    return 0;
  }
  input_ = bytes;
  if (handshaking_) Step();
  if (above_ != nullptr) Receive();
  input_ = {};
  return bytes.size();
}

void TlsStream::Receive() {
  int error = SSL_ERROR_NONE;
  const size_t count = Decrypt(&error);
  SendCipher();
  if (count > 0) Deliver({shard_.plain().data(), count});
  if (ended_) return;
  if (error == SSL_ERROR_ZERO_RETURN) {
    peer_closed_ = true;
    if (!paused_) OnPeerClosed();
  } else if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
    Trouble trouble = Explain(error);
    // With TLS 1.3 a client hears only here that its certificate is not wanted.
    if (trouble.reason == TlsFailure::kRefused) {
      shard_.Tell(trouble.reason, PeerAddress(), trouble.words);
    }
    Break(std::move(trouble.words));
  }
}

// All of the input, into the room that all share. Result: how many bytes that are.
size_t TlsStream::Decrypt(int* error) {
  std::vector<char>& plain = shard_.plain();
  if (plain.size() < kPlainBytes) plain.resize(kPlainBytes);
  size_t have = 0;
  while (!input_.empty() || SSL_has_pending(ssl_.get()) == 1) {
    if (plain.size() - have < kRecordBytes) plain.resize(plain.size() * 2);
    size_t got = 0;
    ERR_clear_error();
    if (SSL_read_ex(ssl_.get(), plain.data() + have, plain.size() - have, &got) == 1) {
      have += got;
      continue;
    }
    *error = SSL_get_error(ssl_.get(), 0);
    break;
  }
  return have;
}

void TlsStream::Deliver(std::string_view bytes) {
  if (!kept_.empty() && bytes.data() != kept_.data()) {
    kept_.append(bytes);
    bytes = kept_;
  }
  if (paused_) return Keep(bytes);
  delivering_ = true;
  const size_t used = above_->OnData(bytes);
  delivering_ = false;
  LARIAT_CHECK(used <= bytes.size(), "a handler used more bytes than it was given");
  if (!ended_) Keep(bytes.substr(used));
}

// Makes `rest`, which may be the end of kept_, what is kept.
void TlsStream::Keep(std::string_view rest) {
  if (!kept_.empty()) {
    kept_.erase(0, kept_.size() - rest.size());
  } else {
    kept_.assign(rest);
  }
  if (kept_.empty() && kept_.capacity() > kIdleBytes) std::string().swap(kept_);
}

void TlsStream::PauseReading() {
  paused_ = true;
  below_.PauseReading();
}

void TlsStream::ResumeReading() {
  if (!std::exchange(paused_, false) || ended_) return;
  below_.ResumeReading();
  if (delivering_ || (kept_.empty() && !peer_closed_)) return;
  if (std::exchange(redelivery_comes_, true)) return;
  shard_.env().executor.AtTurnEnd(lifetime_.Guard([this] {
    redelivery_comes_ = false;
    if (ended_ || paused_) return;
    if (!kept_.empty()) Deliver(kept_);
    if (peer_closed_ && !paused_ && !ended_) OnPeerClosed();
  }));
}

void TlsStream::OnPeerClosed() {
  if (std::exchange(peer_close_told_, true)) return;
  keep_open_ = above_->KeepOpenAfterPeerClosed();
  if (keep_open_ || ended_) return;
  CloseAfterWrite();
  reason_ = "closed by the peer";
}

// The other side's last byte came. Without a word in TLS before it somebody else may have cut the
// connection, and what came is not all.
bool TlsStream::KeepOpenAfterPeerClosed() {
  if (above_ == nullptr || ended_) return false;
  if (peer_closed_) return keep_open_;
  reason_ = "the connection was cut without a close in TLS: bytes may be missing";
  Close();
  return true;
}

void TlsStream::OnClosed(const std::string& reason) {
  if (handshaking_) {
    EndHandshake();
    if (reason_.empty()) reason_ = "the TLS handshake was not finished: " + reason;
    shard_.Tell(TlsFailure::kClosed, PeerAddress(), reason_);
  }
  ended_ = true;
  if (above_ != nullptr) {
    above_->OnClosed(reason_.empty() ? reason : reason_);
    above_.reset();
  } else if (purpose_.failed) {
    auto failed = std::move(purpose_.failed);
    failed({Code::kIo, reason_.empty() ? reason : reason_});
  }
}

// --- writing -------------------------------------------------------------------------------------

void TlsStream::Write(std::string_view bytes) {
  if (ended_ || bytes.empty()) return;
  pending_.append(bytes);
  ListForTurnEnd();
}

void TlsStream::Write(std::string&& bytes) {
  if (ended_ || bytes.empty()) return;
  if (pending_.empty()) {
    pending_ = std::move(bytes);
  } else {
    pending_.append(bytes);
  }
  ListForTurnEnd();
}

void TlsStream::ListForTurnEnd() {
  if (std::exchange(encrypt_comes_, true)) return;
  shard_.env().executor.AtTurnEnd(lifetime_.Guard([this] {
    encrypt_comes_ = false;
    if (!ended_) Encrypt();
  }));
}

void TlsStream::Encrypt() {
  if (pending_.empty()) return;
  size_t written = 0;
  ERR_clear_error();
  const int good = SSL_write_ex(ssl_.get(), pending_.data(), pending_.size(), &written);
  const int error = good == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), good);
  pending_.clear();
  if (pending_.capacity() > kIdleBytes) std::string().swap(pending_);
  SendCipher();
  if (error != SSL_ERROR_NONE) Break(Explain(error).words);
}

void TlsStream::SendCipher() {
  std::string& cipher = shard_.cipher();
  if (cipher.empty()) return;
  if (cipher.size() >= kMoveBytes) {
    below_.Write(std::move(cipher));
    cipher = {};
    return;
  }
  below_.Write(std::string_view(cipher));
  cipher.clear();
}

void TlsStream::OnDrained() {
  if (above_ != nullptr && !ended_ && pending_.empty()) above_->OnDrained();
}

// --- the end -------------------------------------------------------------------------------------

void TlsStream::CloseAfterWrite() {
  if (ended_) return;
  Encrypt();
  if (std::exchange(ended_, true)) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  SendCipher();
  below_.CloseAfterWrite();
}

void TlsStream::Close() {
  if (std::exchange(ended_, true)) return;
  pending_.clear();
  below_.Close();
}

// The connection cannot go on. What OpenSSL has to say of it was written and leaves first.
void TlsStream::Break(std::string words) {
  if (std::exchange(ended_, true)) return;
  reason_ = std::move(words);
  pending_.clear();
  below_.CloseAfterWrite();
}

}  // namespace lariat::env::tls
