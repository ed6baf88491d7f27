// SPDX-License-Identifier: Apache-2.0
#include "env/tls/internal/either.h"

#include <utility>

namespace lariat::env::tls {

namespace {

constexpr char kHandshakeRecord = 0x16;  // no protocol of ours begins with it

}  // namespace

Either::Either(TlsShard& shard, Stream& below, TlsStream::Purpose purpose)
    : shard_(shard), below_(below), purpose_(std::move(purpose)) {
  deadline_ = shard_.env().timers.After(purpose_.timeout, [this] {
    deadline_ = 0;
    below_.Close();
  });
}

Either::~Either() {
  if (deadline_ != 0) shard_.env().timers.Cancel(deadline_);
}

void Either::Choose(char first) {
  shard_.env().timers.Cancel(std::exchange(deadline_, 0));
  if (first == kHandshakeRecord) {
    chosen_ = std::make_unique<TlsStream>(shard_, below_, std::move(purpose_));
    return;
  }
  shard_.metrics().tls_plain.Add();
  chosen_ = (*purpose_.make)(below_);
  if (chosen_ == nullptr) below_.Close();
}

size_t Either::OnData(std::string_view bytes) {
  if (chosen_ == nullptr) Choose(bytes.front());
  return chosen_ == nullptr ? bytes.size() : chosen_->OnData(bytes);
}

void Either::OnDrained() {
  if (chosen_ != nullptr) chosen_->OnDrained();
}

bool Either::KeepOpenAfterPeerClosed() {
  return chosen_ != nullptr && chosen_->KeepOpenAfterPeerClosed();
}

void Either::OnClosed(const std::string& reason) {
  if (chosen_ != nullptr) chosen_->OnClosed(reason);
  chosen_.reset();
}

}  // namespace lariat::env::tls
