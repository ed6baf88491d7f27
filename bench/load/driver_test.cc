// SPDX-License-Identifier: Apache-2.0
// What the drivers say, and that only an answer that says so is "done".
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include "bench/load/etcd_driver.h"
#include "bench/load/resp_driver.h"
#include "etcd.pb.h"

namespace lariat::bench {
namespace {

using cli::load::Driver;
using cli::load::Scan;

constexpr cli::load::Op kGet{true, 7};
constexpr cli::load::Op kPut{false, 7};

std::string Said(Driver& driver, const cli::load::Op& op) {
  std::string out;
  driver.Append(op, "value", "", &out);
  return out;
}

// What the driver makes of the answer to `op`; it must not judge before it has all of it.
Scan Answer(uint32_t replicas, const cli::load::Op& op, const std::string& text) {
  auto driver = RespDrivers(replicas)({});
  Said(*driver, op);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const Scan early = driver->Take(std::string_view(text).substr(0, i), &out);
    EXPECT_EQ(early.state, Scan::State::kMore) << i;
  }
  return driver->Take(text, &out);
}

TEST(RespDriver, SaysGetSetAndWait) {
  auto plain = RespDrivers(0)({});
  EXPECT_EQ(Said(*plain, kGet), "*2\r\n$3\r\nGET\r\n$13\r\nk000000000007\r\n");
  const std::string set = "*3\r\n$3\r\nSET\r\n$13\r\nk000000000007\r\n$5\r\nvalue\r\n";
  EXPECT_EQ(Said(*plain, kPut), set);
  auto waiting = RespDrivers(1)({});
  EXPECT_EQ(Said(*waiting, kPut), set + "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n5000\r\n");
}

TEST(RespDriver, OnlyDoneIsDone) {
  const Scan got = Answer(0, kGet, "$5\r\nvalue\r\n");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.value, "value");
  EXPECT_EQ(got.size, 11U);
  EXPECT_EQ(Answer(0, kGet, "$-1\r\n").status, 404);
  EXPECT_EQ(Answer(0, kGet, "-ERR no\r\n").status, 500);
  EXPECT_EQ(Answer(0, kPut, "+OK\r\n").status, 200);
  EXPECT_EQ(Answer(0, kPut, "-MISCONF\r\n").status, 500);
}

TEST(RespDriver, APutThatWaitsNeedsItsReplicas) {
  EXPECT_EQ(Answer(2, kPut, "+OK\r\n:2\r\n").status, 200);
  EXPECT_EQ(Answer(2, kPut, "+OK\r\n:1\r\n").status, 503);
  EXPECT_EQ(Answer(2, kPut, "-ERR no\r\n:2\r\n").status, 500);
  EXPECT_EQ(Answer(2, kPut, "+OK\r\n-ERR no\r\n").status, 500);
}

TEST(RespDriver, NonsenseEndsTheConnection) {
  auto driver = RespDrivers(0)({});
  std::string out;
  EXPECT_EQ(driver->Take("+OK\r\n", &out).state, Scan::State::kBad) << "nothing was asked";
  Said(*driver, kGet);
  for (const char* text : {"?what\r\n", "$x\r\n", "$5x\r\n", "\r\n"}) {
    EXPECT_EQ(driver->Take(text, &out).state, Scan::State::kBad) << text;
  }
  EXPECT_EQ(driver->Take(std::string(5000, '+'), &out).state, Scan::State::kBad);
}

// A server of one request at a time, which answers as the test says.
class EtcdServer {
 public:
  EtcdServer() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size,
                      void* user) {
          auto& self = *static_cast<EtcdServer*>(user);
          self.stream_ = stream;
          self.asked_.append(reinterpret_cast<const char*>(data), size);
          return 0;
        });
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~EtcdServer() { nghttp2_session_del(session_); }
  EtcdServer(const EtcdServer&) = delete;
  EtcdServer& operator=(const EtcdServer&) = delete;

  // Everything that was asked since the last time, without the five bytes before a message.
  std::string Hear(const std::string& bytes) {
    asked_.clear();
    EXPECT_EQ(nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()),
                                       bytes.size()),
              static_cast<ssize_t>(bytes.size()));
    return asked_.empty() ? asked_ : asked_.substr(5);
  }

  // Bytes of an answer with this message, and a trailer with this status.
  std::string Reply(const std::string& message, const std::string& status) {
    reply_ = std::string(4, '\0') + static_cast<char>(message.size()) + message;
    status_ = status;
    nghttp2_nv head = Pair(":status", "200");
    nghttp2_data_provider body{{.ptr = this}, ReadBody};
    nghttp2_submit_response(session_, stream_, &head, 1, &body);
    std::string out;
    const uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &data)) > 0;) {
      out.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    }
    return out;
  }

 private:
  static nghttp2_nv Pair(std::string_view name, std::string_view value) {
    auto bytes = [](std::string_view text) {
      return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  static ssize_t ReadBody(nghttp2_session* session, int32_t stream, uint8_t* to, size_t size,
                          uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& self = *static_cast<EtcdServer*>(source->ptr);
    EXPECT_LE(self.reply_.size(), size);
    std::copy(self.reply_.begin(), self.reply_.end(), to);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_nv trailer = Pair("grpc-status", self.status_);
    nghttp2_submit_trailer(session, stream, &trailer, 1);
    return static_cast<ssize_t>(self.reply_.size());
  }

  nghttp2_session* session_ = nullptr;
  int32_t stream_ = 0;
  std::string asked_, reply_, status_;
};

class EtcdDriverTest : public ::testing::Test {
 protected:
  EtcdDriverTest() {
    driver_->Begin(&out_);
    server_.Hear(out_);
  }
  std::string Ask(const cli::load::Op& op) { return server_.Hear(Said(*driver_, op)); }
  // The reply comes in two pieces.
  Scan Hear(const std::string& message, const std::string& status) {
    const std::string reply = server_.Reply(message, status);
    const Scan first = driver_->Take(reply.substr(0, reply.size() / 2), &out_);
    EXPECT_EQ(first.state, Scan::State::kMore);
    EXPECT_EQ(first.size, reply.size() / 2) << "taken all the same";
    return driver_->Take(reply.substr(reply.size() / 2), &out_);
  }

  EtcdServer server_;
  std::unique_ptr<Driver> driver_ = EtcdDrivers()({.host = "n:1"});
  std::string out_;
};

TEST_F(EtcdDriverTest, PutsAndGets) {
  etcd::PutRequest put;
  ASSERT_TRUE(put.ParseFromString(Ask(kPut)));
  EXPECT_EQ(put.key(), "k000000000007");
  EXPECT_EQ(put.value(), "value");
  EXPECT_EQ(Hear("", "0").status, 200);
  etcd::RangeRequest get;
  ASSERT_TRUE(get.ParseFromString(Ask(kGet)));
  EXPECT_EQ(get.key(), "k000000000007");
  etcd::RangeResponse shown;
  shown.add_kvs()->set_value("value");
  const Scan got = Hear(shown.SerializeAsString(), "0");
  EXPECT_EQ(got.state, Scan::State::kWhole);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.value, "value");
}

TEST_F(EtcdDriverTest, OnlyDoneIsDone) {
  Ask(kPut);
  EXPECT_EQ(Hear("", "8").status, 500) << "grpc-status is not OK";
  Ask(kGet);
  EXPECT_EQ(Hear("", "0").status, 404) << "no such key";
  Ask(kGet);
  EXPECT_EQ(Hear("\xff\xff", "0").status, 500) << "no message of its kind";
}

TEST_F(EtcdDriverTest, NonsenseEndsTheConnection) {
  Ask(kPut);
  EXPECT_EQ(driver_->Take("HTTP/1.1 400 Bad Request\r\n\r\n", &out_).state, Scan::State::kBad);
}

}  // namespace
}  // namespace lariat::bench
