// SPDX-License-Identifier: Apache-2.0
// A connection that came while TLS is being turned on: its first byte says whether it is TLS, and
// it is handled so from then on. Whoever says nothing for the time of a handshake is closed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "env/stream.h"
#include "env/tls/internal/tls_stream.h"
#include "env/tls/tls_shard.h"

namespace lariat::env::tls {

class Either final : public StreamHandler {
 public:
  Either(TlsShard& shard, Stream& below, TlsStream::Purpose purpose);
  ~Either() override;

  size_t OnData(std::string_view bytes) override;
  void OnDrained() override;
  bool KeepOpenAfterPeerClosed() override;
  void OnClosed(const std::string& reason) override;

 private:
  void Choose(char first);

  TlsShard& shard_;
  Stream& below_;
  TlsStream::Purpose purpose_;
  TimerId deadline_ = 0;
  std::unique_ptr<StreamHandler> chosen_;
};

}  // namespace lariat::env::tls
