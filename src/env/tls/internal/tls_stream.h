// SPDX-License-Identifier: Apache-2.0
// One connection with TLS: the handler of the stream below, and the stream of the handler above,
// which is made when the handshake is done.
//
// Received bytes are decrypted at once and completely, so whatever the handler above leaves, or is
// not given because it made a pause, is kept here as plain bytes; the stream below is paused with
// it and brings no more. What the handler writes in one turn is encrypted at the end of the turn,
// as one.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/lifetime.h"
#include "env/stream.h"
#include "env/tls/internal/openssl.h"
#include "env/tls/tls_shard.h"

namespace lariat::env::tls {

class TlsStream final : public Stream, public StreamHandler, private Handshake, private Witness {
 public:
  struct Purpose {
    Role role;
    base::Duration timeout;                          // for the handshake
    std::shared_ptr<MakeHandler> make;               // co-owned by other streams of a listener
    base::UniqueFunction<void(base::Error)> failed;  // empty for one that came; called at most once
  };
  TlsStream(TlsShard& shard, Stream& below, Purpose purpose);
  ~TlsStream() override;

  // Stream, for the handler above.
  void Write(std::string_view bytes) override;
  void Write(std::string&& bytes) override;
  size_t UnsentBytes() const override { return pending_.size() + below_.UnsentBytes(); }
  void PauseReading() override;
  void ResumeReading() override;
  void CloseAfterWrite() override;
  void Close() override;
  const std::string& PeerAddress() const override { return below_.PeerAddress(); }
  std::string_view PeerIdentity() const override { return identity_; }

  // StreamHandler, for the stream below.
  size_t OnData(std::string_view bytes) override;
  void OnDrained() override;
  bool KeepOpenAfterPeerClosed() override;
  void OnClosed(const std::string& reason) override;

  // For the BIO: the bytes that the stream below gave and OpenSSL has not taken yet.
  size_t Take(char* to, size_t room);
  std::string& cipher() { return shard_.cipher(); }

 private:
  struct Trouble {
    telemetry::TlsFailure reason;
    std::string words;
    std::string answer;  // in plain, to one who came; mostly nothing
  };
  void GoOn() override;
  void MakeRoom() override {
    FailHandshake({telemetry::TlsFailure::kTooMany, "it was silent, and made room for others"});
  }
  bool Believes(const X509* certificate) override;
  void OnSignature() override { shard_.metrics().tls_key_operations.Add(); }
  void Step();
  void Established();
  void FailHandshake(Trouble trouble);
  void EndHandshake();
  Trouble Explain(int error) const;
  void Receive();
  size_t Decrypt(int* error);
  void Deliver(std::string_view bytes);
  void Keep(std::string_view rest);
  void OnPeerClosed();
  void Break(std::string words);
  void ListForTurnEnd();
  void Encrypt();
  void SendCipher();

  TlsShard& shard_;
  Stream& below_;
  Purpose purpose_;
  const std::shared_ptr<const Contexts> contexts_;  // co-owned: it may be replaced meanwhile
  Ssl ssl_;
  std::unique_ptr<StreamHandler> above_;
  std::string identity_;
  std::string reason_;  // for OnClosed, where this side knows better than the one below
  TimerId deadline_ = 0;
  std::string_view input_;  // during OnData
  std::string kept_;        // decrypted and not consumed
  std::string pending_;     // written and not encrypted

  bool handshaking_ = true;
  bool queued_ = false;
  bool granted_ = false;  // one step
  bool paused_ = false;
  bool delivering_ = false;
  bool redelivery_comes_ = false;
  bool encrypt_comes_ = false;
  bool peer_closed_ = false;  // it said so, in TLS
  bool peer_close_told_ = false;
  bool keep_open_ = false;
  bool ended_ = false;  // nothing is written or delivered any more
  base::Lifetime lifetime_;
};

}  // namespace lariat::env::tls
