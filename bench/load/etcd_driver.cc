// SPDX-License-Identifier: Apache-2.0
#include "bench/load/etcd_driver.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>

#include "apps/lariat/load/keys.h"
#include "etcd.pb.h"

namespace lariat::bench {

namespace {

using cli::load::Op;
using cli::load::Scan;

constexpr size_t kGrpcPrefixBytes = 5;      // not compressed; length, big endian
constexpr int32_t kWindowBytes = 16 << 20;  // of replies, so that none waits for an update
constexpr std::string_view kOk = "0";       // grpc-status

nghttp2_nv Header(std::string_view name, std::string_view value) {
  // The library copies both and does not write to them.
  auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string GrpcMessage(const google::protobuf::MessageLite& message) {
  std::string out(kGrpcPrefixBytes, '\0');
  message.AppendToString(&out);
  const auto size = static_cast<uint32_t>(out.size() - kGrpcPrefixBytes);
  for (size_t i = 0; i < 4; ++i) out[1 + i] = static_cast<char>(size >> (24 - 8 * i));
  return out;
}

class EtcdDriver : public cli::load::Driver {
 public:
  explicit EtcdDriver(std::string host) : host_(std::move(host)) {}
  ~EtcdDriver() override { nghttp2_session_del(session_); }
  EtcdDriver(const EtcdDriver&) = delete;
  EtcdDriver& operator=(const EtcdDriver&) = delete;

  void Begin(std::string* out) override {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry window{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindowBytes};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindowBytes);
    Send(out);
  }

  void Append(const Op& op, std::string_view value, std::string_view /*context*/,
              std::string* out) override {
    get_ = op.get;
    if (op.get) {
      etcd::RangeRequest request;
      request.set_key(cli::load::KeyText(op.key));
      body_ = GrpcMessage(request);
    } else {
      etcd::PutRequest request;
      request.set_key(cli::load::KeyText(op.key));
      request.set_value(value.data(), value.size());
      body_ = GrpcMessage(request);
    }
    sent_ = 0;
    reply_.clear();
    grpc_status_.clear();
    const std::array headers = {
        Header(":method", "POST"),
        Header(":scheme", "http"),
        Header(":path", op.get ? "/etcdserverpb.KV/Range" : "/etcdserverpb.KV/Put"),
        Header(":authority", host_),
        Header("content-type", "application/grpc"),
        Header("te", "trailers")};
    nghttp2_data_provider body{{.ptr = this}, ReadBody};
    nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(), &body, nullptr);
    Send(out);
  }

  Scan Take(std::string_view in, std::string* out) override {
    Scan scan;
    if (in.empty()) return scan;
    const auto* bytes = reinterpret_cast<const uint8_t*>(in.data());
    const ssize_t taken = nghttp2_session_mem_recv(session_, bytes, in.size());
    Send(out);
    if (taken != static_cast<ssize_t>(in.size()) || nghttp2_session_want_read(session_) == 0) {
      scan.state = Scan::State::kBad;
      return scan;
    }
    scan.size = in.size();
    if (std::exchange(closed_, false)) {
      scan.state = Scan::State::kWhole;
      scan.status = Status();
      if (scan.status == 200 && get_) scan.value = range_.kvs(0).value();
    }
    return scan;
  }

 private:
  static EtcdDriver& Self(void* user) { return *static_cast<EtcdDriver*>(user); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t, void* user) {
    if (std::string_view(reinterpret_cast<const char*>(name), name_size) == "grpc-status") {
      Self(user).grpc_status_.assign(reinterpret_cast<const char*>(value), value_size);
    }
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t, const uint8_t* data, size_t size,
                    void* user) {
    Self(user).reply_.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int OnClose(nghttp2_session*, int32_t, uint32_t error, void* user) {
    if (error != NGHTTP2_NO_ERROR) Self(user).grpc_status_.clear();
    Self(user).closed_ = true;
    return 0;
  }
  static ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* to, size_t size, uint32_t* flags,
                          nghttp2_data_source* source, void*) {
    auto& self = *static_cast<EtcdDriver*>(source->ptr);
    const size_t count = std::min(size, self.body_.size() - self.sent_);
    std::copy_n(self.body_.data() + self.sent_, count, to);
    self.sent_ += count;
    if (self.sent_ == self.body_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(count);
  }

  void Send(std::string* out) {
    const uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &data)) > 0;) {
      out->append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
  }

  // Done is what etcd calls so and what has a whole message.
  int Status() {
    if (grpc_status_ != kOk || reply_.size() < kGrpcPrefixBytes) return 500;
    if (!get_) return 200;
    const std::string_view message = std::string_view(reply_).substr(kGrpcPrefixBytes);
    if (!range_.ParseFromArray(message.data(), static_cast<int>(message.size()))) return 500;
    return range_.kvs_size() == 1 ? 200 : 404;
  }

  std::string host_;
  nghttp2_session* session_ = nullptr;
  bool get_ = false;
  std::string body_;  // of the request under way
  size_t sent_ = 0;
  std::string reply_, grpc_status_;
  etcd::RangeResponse range_;
  bool closed_ = false;
};

}  // namespace

cli::load::MakeDriver EtcdDrivers() {
  return [](const cli::load::Endpoint& node) { return std::make_unique<EtcdDriver>(node.host); };
}

}  // namespace lariat::bench
