// SPDX-License-Identifier: Apache-2.0
// One TCP connection: feeds its handler and sends what the handler wrote at the end of the turn.
//
//   open --Close--> closed                       (descriptor gone, OnClosed at a turn's end)
//   open --CloseAfterWrite, all sent--> lingering --peer closed or a second passed--> closed
//
// A connection that has something to do at the end of a turn puts itself on the network's list;
// only from there are OnClosed and OnDrained called, and only there is it destroyed. So no call of
// a handler ever happens inside a call that the handler made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "env/posix/internal/event_loop.h"
#include "env/posix/internal/out_queue.h"
#include "env/posix/internal/socket.h"
#include "env/stream.h"

namespace lariat::env::posix {

class TcpNetwork;

class Connection final : public Stream, public Pollable {
 public:
  Connection(TcpNetwork* network, Fd fd, std::string peer);

  void Write(std::string_view bytes) override;
  void Write(std::string&& bytes) override;
  size_t UnsentBytes() const override { return out_.size(); }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override;
  void CloseAfterWrite() override;
  void Close() override { CloseBecause("closed by this side"); }
  const std::string& PeerAddress() const override { return peer_; }

  void OnEvents(uint32_t events) override;

  void SetHandler(std::unique_ptr<StreamHandler> handler) { handler_ = std::move(handler); }
  void CloseBecause(std::string reason);
  // The network's call for a connection on its list; false when it is to be destroyed.
  bool EndOfTurn();
  int fd() const { return fd_.get(); }

 private:
  bool Receives() const;
  void ReadAll();
  bool ReadOnce(size_t* budget);
  void Deliver(std::string_view bytes);
  void Keep(std::string_view rest);
  void OnPeerClosed();
  void Flush();
  void StartLingering();
  void ListForTurnEnd();

  TcpNetwork& network_;
  Fd fd_;
  const std::string peer_;
  std::unique_ptr<StreamHandler> handler_;

  OutQueue out_;
  bool flush_wanted_ = false;
  bool write_blocked_ = false;  // the kernel's buffer is full; an event will tell
  bool close_after_write_ = false;
  bool lingering_ = false;
  TimerId linger_timer_ = 0;

  // Received and not consumed. Empty most of the time: bytes are first read into a buffer that all
  // connections of the loop share, and only what the handler leaves is copied here.
  std::unique_ptr<char[]> kept_;
  size_t kept_size_ = 0;
  size_t kept_capacity_ = 0;
  bool readable_ = false;  // the kernel may have more bytes
  bool hung_up_ = false;   // an end of the stream comes after the bytes: read until it is seen
  bool paused_ = false;
  bool redeliver_ = false;  // resumed: kept bytes go to the handler again
  bool read_wanted_ = false;
  bool delivering_ = false;
  bool peer_closed_ = false;

  bool closed_ = false;
  std::string close_reason_;
  bool listed_ = false;
};

}  // namespace lariat::env::posix
