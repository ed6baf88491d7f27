// SPDX-License-Identifier: Apache-2.0
#include "peers/peer_links.h"

#include <gtest/gtest.h>

#include "peers/peers_test_util.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/parts.h"

namespace lariat::peers {
namespace {

using base::Code;
using telemetry::PeerRefusal;

std::string FrameOf(wire::Envelope envelope) {
  std::string frame;
  wire::AppendFrame(wire::EncodeEnvelope(std::move(envelope)), &frame);
  return frame;
}

// A node that has links and nothing else.
class Party final : public PeerEvents {
 public:
  Party(TestTime& time, TestNet& net, uint64_t number)
      : time_(time),
        id{number, number},
        name("n" + std::to_string(number)),
        address("10.0.0." + std::to_string(number) + ":1"),
        network_(net),
        net_(net) {
    settings.peer_connect_timeout_ms = 500;
    settings.peer_backoff_max_ms = 400;
    settings.limits_peer_queue_bytes = 10000;
    Make();
    Listen();
  }
  // With the settings as they are now.
  void Make() {
    links = std::make_unique<PeerLinks>(time_.env(), network_, settings, telemetry::NullLog());
    links->Attach(*this, metrics);
  }
  void Listen() {
    net_.Listen(address, [this](env::Stream& stream) { return links->Accept(stream); });
  }

  wire::Hello MakeHello() const override {
    wire::Hello hello;
    hello.protocol = 1;
    hello.node = id;
    hello.cluster = cluster;
    hello.name = name;
    return hello;
  }
  wire::HelloReply OnHello(const wire::Hello& hello) override {
    wire::HelloReply reply;
    reply.protocol = 1;
    reply.node = id;
    reply.name = name;
    if (hello.cluster != cluster) reply.outcome = {Code::kConflict, "another cluster"};
    return reply;
  }
  void OnPeerUp(PeerHandle, const base::Uuid& node) override { up.push_back(node); }
  void OnPeerDown(PeerHandle, const base::Error& why) override { down.push_back(why.message); }
  void OnRequest(const base::Uuid& from, LinkId link, wire::Envelope&& request) override {
    requests.push_back({from, link, std::move(request)});
    if (answers) links->Reply(link, {requests.back().envelope.id, 0, wire::WriteReply{}});
  }
  void OnReply(PeerHandle, wire::Envelope&& reply) override {
    replies.push_back(reply.id);
    if (const auto* refused = std::get_if<wire::Refused>(&reply.body)) {
      refusals.push_back(refused->outcome.code);
    }
    if (const auto* page = std::get_if<wire::RangePage>(&reply.body)) pages.push_back(*page);
  }

  struct Request {
    base::Uuid from;
    LinkId link;
    wire::Envelope envelope;
  };
  TestTime& time_;
  base::Uuid id;
  base::Uuid cluster{5, 5};
  std::string name, address;
  config::Settings settings;
  telemetry::Metrics metrics;
  std::vector<base::Uuid> up;
  std::vector<std::string> down;
  std::vector<Request> requests;
  std::vector<uint64_t> replies;
  std::vector<Code> refusals;
  std::vector<wire::RangePage> pages;
  bool answers = true;
  std::unique_ptr<PeerLinks> links;

 private:
  TestNetwork network_;
  TestNet& net_;
};

// The other side as a test writes it byte by byte.
struct RawHandler final : env::StreamHandler {
  struct Seen {
    env::Stream* stream = nullptr;
    std::string bytes;
    bool closed = false;
  };
  RawHandler(Seen& out, env::Stream& stream) : seen(out) { seen.stream = &stream; }
  size_t OnData(std::string_view bytes) override {
    seen.bytes += bytes;
    return bytes.size();
  }
  void OnClosed(const std::string&) override {
    seen.closed = true;
    seen.stream = nullptr;
  }
  Seen& seen;
};

class PeerLinksTest : public testing::Test {
 protected:
  ~PeerLinksTest() override {
    a.links->Stop();
    b.links->Stop();
    net.CloseAll();
    time.Run(base::Seconds(2));
    time.Clear();
  }
  RawHandler::Seen& RawConnect(Party& to) {
    auto& seen = raw.emplace_back();
    net.Connect(
        to.address,
        [&seen](env::Stream& stream) { return std::make_unique<RawHandler>(seen, stream); },
        [](const base::Error&) { FAIL(); });
    time.Run({});
    return seen;
  }

  TestTime time;
  TestNet net{time};
  Party a{time, net, 1}, b{time, net, 2};
  std::deque<RawHandler::Seen> raw;
};

TEST_F(PeerLinksTest, HandshakeRequestAndReply) {
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  EXPECT_FALSE(a.links->Send(peer, {1, 0, wire::SealRequest{}}));
  time.Run(base::Millis(10));
  ASSERT_EQ(a.up, std::vector<base::Uuid>{b.id});
  for (uint64_t id = 1; id <= 50; ++id) {
    wire::WriteRequest write;
    write.object = std::string(id * 100, 'x');
    EXPECT_TRUE(a.links->Send(peer, {id, 7, write}));
    time.Run(base::Millis(1));
  }
  ASSERT_EQ(b.requests.size(), 50U);
  EXPECT_EQ(b.requests[0].from, a.id);
  EXPECT_EQ(b.requests[0].envelope.epoch, 7U);
  EXPECT_EQ(a.replies.size(), 50U);
}

TEST_F(PeerLinksTest, ManyFramesInOneDelivery) {
  auto& seen = RawConnect(b);
  std::string bytes = FrameOf({1, 0, a.MakeHello()});
  for (uint64_t id = 2; id <= 20; ++id) {
    wire::WriteRequest large;
    large.object = std::string(20000, 'x');  // over what a stranger may send
    bytes += FrameOf({id, 0, large});
  }
  const std::string half = bytes.substr(bytes.size() / 2);
  bytes.resize(bytes.size() / 2);
  seen.stream->Write(bytes);
  time.Run({});
  seen.stream->Write(half);
  time.Run({});
  EXPECT_EQ(b.requests.size(), 19U);
}

TEST_F(PeerLinksTest, BytesOneByOne) {
  auto& seen = RawConnect(b);
  const std::string bytes = FrameOf({1, 0, a.MakeHello()}) + FrameOf({2, 0, wire::SealRequest{}});
  for (const char c : bytes) {
    seen.stream->Write(std::string(1, c));
    time.Run({});
  }
  EXPECT_EQ(b.requests.size(), 1U);
  EXPECT_FALSE(seen.closed);
}

TEST_F(PeerLinksTest, AnotherClusterIsRefusedAndTriedAgainWithBackOff) {
  b.cluster = {6, 6};
  a.links->Open(b.address, std::nullopt);
  time.Run(base::Seconds(10));
  EXPECT_TRUE(a.up.empty());
  EXPECT_TRUE(a.down.empty());
  EXPECT_GT(b.metrics.peer_refused[PeerRefusal::kHandshake].value(), 0U);
  // 20 ms, doubled to 400 ms: about 30 attempts in ten seconds, at least 25 and not hundreds.
  EXPECT_GE(net.attempts, 20);
  EXPECT_LE(net.attempts, 60);
  b.cluster = a.cluster;
  time.Run(base::Seconds(1));
  EXPECT_EQ(a.up.size(), 1U);
}

TEST_F(PeerLinksTest, AnotherNodeAtTheAddressIsRefused) {
  a.links->Open(b.address, base::Uuid{9, 9});
  time.Run(base::Seconds(1));
  EXPECT_TRUE(a.up.empty());
  a.links->Open(b.address, b.id);
  time.Run(base::Seconds(1));
  EXPECT_EQ(a.up.size(), 1U);
}

TEST_F(PeerLinksTest, M42_ANodeHasTheNameOfItsCertificate) {
  const auto refused = [&] { return b.metrics.peer_refused[PeerRefusal::kHandshake].value(); };
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  net.caller = "n3";  // 1 has the certificate of 3
  net.certified[b.address] = "n2";
  time.Run(base::Millis(10));
  EXPECT_TRUE(a.up.empty());
  EXPECT_EQ(refused(), 1U);
  EXPECT_EQ(a.links->Trouble(peer), "a node that says it is 'n1' shows the certificate of 'n3'");
  net.caller = "n1";
  net.certified[b.address] = "n3";  // 2 has it
  time.Run(base::Seconds(1));
  EXPECT_TRUE(a.up.empty());
  EXPECT_EQ(a.links->Trouble(peer), "a node that says it is 'n2' shows the certificate of 'n3'");
  net.certified[b.address] = "n2";
  time.Run(base::Seconds(1));
  EXPECT_EQ(a.up.size(), 1U);
}

TEST_F(PeerLinksTest, ReconnectsWhenThePeerIsBack) {
  net.StopListening(b.address);
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Seconds(5));
  EXPECT_TRUE(a.up.empty());
  EXPECT_LE(net.attempts, 40);
  b.Listen();
  time.Run(base::Millis(500));
  ASSERT_EQ(a.up.size(), 1U);
  net.CloseAll();
  EXPECT_EQ(a.down.size(), 1U);
  EXPECT_FALSE(a.links->Send(peer, {1, 0, wire::SealRequest{}}));
  time.Run(base::Millis(500));
  EXPECT_EQ(a.up.size(), 2U);
  EXPECT_TRUE(a.links->Send(peer, {1, 0, wire::SealRequest{}}));
}

TEST_F(PeerLinksTest, AClosedPeerIsNotConnectedAgain) {
  const PeerHandle ready = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(100));
  a.links->Close(ready);
  const PeerHandle young = a.links->Open(b.address, std::nullopt);
  a.links->Close(young);
  net.StopListening(b.address);
  const PeerHandle retrying = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(100));
  a.links->Close(retrying);
  const int attempts = net.attempts;
  time.Run(base::Seconds(5));
  EXPECT_EQ(net.attempts, attempts);
  EXPECT_EQ(a.up.size(), 1U);
  EXPECT_FALSE(a.links->Send(ready, {1, 0, wire::SealRequest{}}));
}

TEST_F(PeerLinksTest, ASilentPeerTimesOut) {
  net.silent = true;
  a.links->Open(b.address, std::nullopt);
  auto& stranger = RawConnect(b);
  time.Run(base::Millis(450));
  EXPECT_EQ(net.attempts, 2);
  EXPECT_FALSE(stranger.closed);
  time.Run(base::Millis(200));
  EXPECT_TRUE(stranger.closed);
  EXPECT_GE(net.attempts, 3);
  EXPECT_GE(b.metrics.peer_refused[PeerRefusal::kHandshake].value(), 1U);
  net.silent = false;
  time.Run(base::Seconds(2));
  EXPECT_EQ(a.up.size(), 1U);
}

TEST_F(PeerLinksTest, WhatIsNotTakenIsBounded) {
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(10));
  net.silent = true;
  wire::WriteRequest write;
  write.object = std::string(1000, 'x');
  int sent = 0;
  while (sent < 1000 && a.links->Send(peer, {1, 0, write})) ++sent;
  EXPECT_GE(sent, 9);
  EXPECT_LE(sent, 12);
}

TEST_F(PeerLinksTest, APeerThatDoesNotReadItsRepliesIsNotListenedTo) {
  auto& seen = RawConnect(b);
  seen.stream->Write(FrameOf({1, 0, a.MakeHello()}));
  time.Run({});
  seen.stream->PauseReading();
  int written = 0;
  for (; written < 5000; ++written) {
    seen.stream->Write(FrameOf({2, 0, wire::SealRequest{}}));
    time.Run({});
    if (seen.stream->UnsentBytes() > 0) break;
  }
  EXPECT_LT(written, 5000) << "b has stopped reading";
  const size_t served = b.requests.size();
  for (int i = 0; i < 50; ++i) seen.stream->Write(FrameOf({2, 0, wire::SealRequest{}}));
  time.Run(base::Millis(10));
  EXPECT_EQ(b.requests.size(), served);
  seen.stream->ResumeReading();
  time.Run(base::Millis(10));
  EXPECT_EQ(b.requests.size(), static_cast<size_t>(written) + 51);
}

TEST_F(PeerLinksTest, NothingIsServedBeforeTheHandshake) {
  for (const wire::Body& body : {wire::Body(wire::ReadRequest{}), wire::Body(wire::JoinRequest{}),
                                 wire::Body(wire::HelloReply{}), wire::Body(std::monostate{})}) {
    auto& seen = RawConnect(b);
    seen.stream->Write(FrameOf({1, 0, body}));
    time.Run({});
    EXPECT_TRUE(seen.closed);
    EXPECT_EQ(seen.bytes, "");
  }
  auto& large = RawConnect(b);
  wire::Hello hello = a.MakeHello();
  hello.name = std::string(5000, 'n');
  large.stream->Write(FrameOf({1, 0, hello}));
  time.Run({});
  EXPECT_TRUE(large.closed);
  EXPECT_TRUE(b.requests.empty());
  EXPECT_EQ(b.metrics.peer_refused[PeerRefusal::kTooLarge].value(), 1U);
}

TEST_F(PeerLinksTest, M25_M41_FlippedBitsAndNoiseCloseTheStream) {
  base::Prng prng(3);
  const std::string hello = FrameOf({1, 0, a.MakeHello()});
  wire::WriteRequest write;
  write.key = "key";
  const std::string frame = FrameOf({2, 0, write});
  for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
    auto& seen = RawConnect(b);
    std::string bad = frame;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    seen.stream->Write(hello + bad + frame + frame);
    time.Run({});
    // A length that grew waits for more; it ends with the bytes that follow.
    if (!seen.closed) seen.stream->Write(std::string(1 << 17, '\0'));
    time.Run({});
    const bool waits_for_more = bit / 8 >= 8 && bit / 8 < 12;
    EXPECT_TRUE(seen.closed || waits_for_more) << "bit " << bit;
  }
  EXPECT_TRUE(b.requests.empty());
  for (int i = 0; i < 300; ++i) {
    auto& seen = RawConnect(b);
    std::string noise = prng.Chance(0.5) ? hello : "";
    for (uint64_t n = prng.Below(200); n > 0; --n) noise += static_cast<char>(prng.Next());
    seen.stream->Write(noise);
    time.Run({});
  }
  time.Run(base::Seconds(1));
  EXPECT_TRUE(b.requests.empty());
}

TEST_F(PeerLinksTest, ABadReplyBreaksTheConnectionAndItComesBack) {
  net.StopListening(b.address);
  RawHandler::Seen& server = raw.emplace_back();
  net.Listen(b.address, [&server](env::Stream& stream) {
    return std::make_unique<RawHandler>(server, stream);
  });
  a.links->Open(b.address, std::nullopt);
  time.Run({});
  ASSERT_NE(server.stream, nullptr);
  wire::HelloReply reply;
  reply.node = b.id;
  server.stream->Write(FrameOf({0, 0, reply}));
  time.Run({});
  EXPECT_EQ(a.up.size(), 1U);
  server.stream->Write("rubbish that is longer than a frame's header");
  time.Run({});
  EXPECT_EQ(a.down, std::vector<std::string>{"the peer sent a bad frame"});
  net.StopListening(b.address);
  b.Listen();
  time.Run(base::Seconds(1));
  EXPECT_EQ(a.up.size(), 2U);
}

std::string FrameOfMany(const std::vector<std::string>& messages) {
  std::string frame;
  wire::FrameWriter writer(&frame, wire::FrameKind::kMessages);
  for (const std::string& message : messages) {
    frame.append(wire::kMessageLengthBytes, '\0');
    const size_t start = frame.size();
    frame.append(message);
    wire::SetMessageLength(start, &frame);
  }
  writer.Finish();
  return frame;
}

TEST_F(PeerLinksTest, AFrameOfManyIsTakenFromWhoSaysSo) {
  const std::string seal = wire::EncodeEnvelope({2, 0, wire::SealRequest{}});
  auto& stranger = RawConnect(b);
  stranger.stream->Write(FrameOfMany({wire::EncodeEnvelope({1, 0, a.MakeHello()})}));
  time.Run({});
  EXPECT_TRUE(stranger.closed);
  auto& earlier = RawConnect(b);
  earlier.stream->Write(FrameOf({1, 0, a.MakeHello()}) + FrameOfMany({seal}));
  time.Run({});
  EXPECT_TRUE(earlier.closed) << "a build that takes none sends none";
  EXPECT_TRUE(b.requests.empty());
  wire::Hello hello = a.MakeHello();
  hello.limits = {1 << 20, 64 << 20, 100};
  auto& seen = RawConnect(b);
  seen.stream->Write(FrameOf({1, 0, hello}) + FrameOfMany({seal, seal, seal}) + FrameOfMany({}));
  time.Run({});
  EXPECT_FALSE(seen.closed);
  EXPECT_EQ(b.requests.size(), 3U);
  // What comes before a message that is none is done; it cannot be told where the next one begins.
  seen.stream->Write(FrameOfMany({seal, "\xff", seal}));
  time.Run({});
  EXPECT_TRUE(seen.closed);
  EXPECT_EQ(b.requests.size(), 4U);
  EXPECT_EQ(b.metrics.peer_refused[PeerRefusal::kBadMessage].value(), 3U);
}

TEST_F(PeerLinksTest, AFrameHasNoMoreMessagesThanItMay) {
  wire::Hello hello = a.MakeHello();
  hello.limits = {1 << 20, 64 << 20, 100};
  const std::string seal = wire::EncodeEnvelope({2, 0, wire::SealRequest{}});
  auto& seen = RawConnect(b);
  b.answers = false;
  seen.stream->Write(FrameOf({1, 0, hello}) +
                     FrameOfMany(std::vector<std::string>(wire::kFrameMessagesMax, seal)));
  time.Run({});
  EXPECT_FALSE(seen.closed);
  seen.stream->Write(FrameOfMany(std::vector<std::string>(wire::kFrameMessagesMax + 1, seal)));
  time.Run({});
  EXPECT_TRUE(seen.closed);
}

TEST_F(PeerLinksTest, RepliesToLinksThatAreGoneAreDropped) {
  b.answers = false;
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(10));
  a.links->Send(peer, {1, 0, wire::SealRequest{}});
  time.Run(base::Millis(10));
  ASSERT_EQ(b.requests.size(), 1U);
  net.CloseAll();
  b.links->Reply(b.requests[0].link, {1, 0, wire::WriteReply{}});
  b.links->Reply(12345, {1, 0, wire::WriteReply{}});
  time.Run(base::Seconds(1));
  EXPECT_TRUE(a.replies.empty());
}

wire::WriteRequest LargeWrite(size_t bytes) {
  wire::WriteRequest write;
  write.object = std::string(bytes, 'x');
  return write;
}

TEST_F(PeerLinksTest, ALargeMessageTravelsInPartsAndHoldsUpNothing) {
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(10));
  ASSERT_EQ(a.up.size(), 1U);
  net.silent = true;
  EXPECT_TRUE(a.links->Send(peer, {1, 0, LargeWrite(40 << 20)}));
  net.silent = false;
  // Behind it, and there before it.
  EXPECT_FALSE(a.links->Send(peer, {2, 0, wire::SealRequest{}})) << "the queue is full";
  ASSERT_TRUE(time.RunUntil([&] { return !b.requests.empty(); }));
  EXPECT_EQ(std::get<wire::WriteRequest>(b.requests[0].envelope.body).object,
            std::string(40 << 20, 'x'));
  EXPECT_EQ(a.metrics.peer_split_sent.value(), 1U);
  EXPECT_EQ(b.metrics.peer_split_received.value(), 1U);
  EXPECT_EQ(b.metrics.peer_parts_bytes.value(), 0);
  EXPECT_TRUE(a.down.empty());
}

TEST_F(PeerLinksTest, SmallMessagesOvertakeALargeOne) {
  a.settings.limits_peer_queue_bytes = 64 << 20;
  a.Make();
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(10));
  EXPECT_TRUE(a.links->Send(peer, {1, 0, LargeWrite(40 << 20)}));
  EXPECT_TRUE(a.links->Send(peer, {2, 0, wire::SealRequest{}}));
  EXPECT_TRUE(a.links->Send(peer, {3, 0, LargeWrite(20 << 20)}));
  ASSERT_TRUE(time.RunUntil([&] { return b.requests.size() == 3; }));
  std::vector<uint64_t> order;
  for (const auto& request : b.requests) order.push_back(request.envelope.id);
  EXPECT_EQ(order, (std::vector<uint64_t>{2, 1, 3}));
}

TEST_F(PeerLinksTest, WhatNobodyTakesIsSaidAndHoldsUpNothing) {
  a.settings.peer_message_bytes_max = b.settings.peer_message_bytes_max = 4 << 20;
  a.Make();
  b.Make();
  b.answers = false;
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(10));
  const auto sent = a.links->Send(peer, {1, 0, LargeWrite(5 << 20)});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kTooLarge);
  EXPECT_EQ(a.metrics.peer_too_large.value(), 1U);
  EXPECT_TRUE(a.links->Send(peer, {2, 0, wire::RangePull{}}));
  time.Run(base::Millis(10));
  ASSERT_EQ(b.requests.size(), 1U);
  wire::RangePage page;
  page.entries = {{"key", std::string(5 << 20, 'x')}};
  page.last_key = "key";
  b.links->Reply(b.requests[0].link, {2, 0, page});
  time.Run(base::Millis(10));
  ASSERT_EQ(a.pages.size(), 1U);
  EXPECT_EQ(a.pages[0].outcome.code, Code::kCorruption);
  EXPECT_EQ(a.pages[0].last_key, "key");
  EXPECT_TRUE(a.down.empty());
}

TEST_F(PeerLinksTest, WithoutMemoryForAMessageItsSenderIsTold) {
  b.settings.peer_message_bytes_max = 8 << 20;
  b.Make();
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  auto& other = RawConnect(b);
  wire::Hello hello = a.MakeHello();
  hello.limits = {16 << 20, 64 << 20};
  other.stream->Write(FrameOf({1, 0, hello}));
  std::string part;
  wire::AppendPart({1, 1, 6 << 20, 0, "the first bytes"}, &part);
  other.stream->Write(part);
  time.Run(base::Millis(10));
  EXPECT_EQ(b.metrics.peer_parts_bytes.value(), 6 << 20);
  EXPECT_TRUE(a.links->Send(peer, {7, 0, LargeWrite(5 << 20)}));
  ASSERT_TRUE(time.RunUntil([&] { return !a.replies.empty(); }));
  EXPECT_EQ(a.replies, std::vector<uint64_t>{7});
  EXPECT_EQ(a.refusals, std::vector<Code>{Code::kOverloaded});
  EXPECT_EQ(b.metrics.peer_refused[PeerRefusal::kNoRoom].value(), 1U);
  other.stream->Close();  // and never came to its end
  time.Run(base::Millis(10));
  EXPECT_EQ(b.metrics.peer_parts_bytes.value(), 0);
  EXPECT_TRUE(a.links->Send(peer, {8, 0, LargeWrite(5 << 20)}));
  ASSERT_TRUE(time.RunUntil([&] { return a.replies.size() == 2; }));
  EXPECT_EQ(a.refusals.size(), 1U);
}

TEST_F(PeerLinksTest, RepliesThatNobodyReadsAreBounded) {
  b.answers = false;
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run(base::Millis(10));
  for (uint64_t id = 1; id <= 20; ++id)
    EXPECT_TRUE(a.links->Send(peer, {id, 0, wire::RangePull{}}));
  time.Run(base::Millis(10));
  ASSERT_EQ(b.requests.size(), 20U);
  wire::RangePage page;
  page.entries = {{"key", std::string(4000, 'x')}};
  page.last_key = "key";
  for (const auto& request : b.requests)
    b.links->Reply(request.link, {request.envelope.id, 0, page});
  time.Run(base::Millis(10));
  ASSERT_EQ(a.pages.size(), 20U) << "each is answered";
  size_t given = 0;
  for (const auto& got : a.pages) given += got.entries.size();
  EXPECT_EQ(given, 3U) << "as much as may wait, and one more";
  EXPECT_EQ(a.pages.back().outcome.code, Code::kOverloaded);
}

// A node of an earlier build says nothing of limits: it is sent frames, and no part.
TEST_F(PeerLinksTest, AnEarlierBuildIsSentNoParts) {
  net.StopListening(b.address);
  RawHandler::Seen& server = raw.emplace_back();
  net.Listen(b.address, [&server](env::Stream& stream) {
    return std::make_unique<RawHandler>(server, stream);
  });
  const PeerHandle peer = a.links->Open(b.address, std::nullopt);
  time.Run({});
  wire::HelloReply reply;
  reply.node = b.id;
  server.stream->Write(FrameOf({0, 0, reply}));
  time.Run({});
  server.bytes.clear();
  EXPECT_TRUE(a.links->Send(peer, {1, 0, LargeWrite(10 << 20)}));
  time.Run({});
  const auto frame = wire::ParseFrame(server.bytes, 16 << 20);
  EXPECT_EQ(frame.status, wire::FrameStatus::kFrame);
  EXPECT_EQ(frame.kind, wire::FrameKind::kEnvelope);
  const auto sent = a.links->Send(peer, {2, 0, LargeWrite(17 << 20)});
  EXPECT_EQ(sent.error().code, Code::kTooLarge);
  EXPECT_TRUE(a.down.empty());
}

TEST_F(PeerLinksTest, APartOutOfItsPlaceClosesTheStream) {
  wire::Hello hello = a.MakeHello();
  hello.limits = {16 << 20, 64 << 20};
  std::string gap, early;
  wire::AppendPart({1, 1, 100, 0, "0123"}, &gap);
  wire::AppendPart({1, 1, 100, 8, "89"}, &gap);
  wire::AppendPart({1, 1, 100, 0, "0123"}, &early);
  for (const std::string& bytes :
       {FrameOf({1, 0, hello}) + gap, early, FrameOf({1, 0, a.MakeHello()}) + early}) {
    auto& seen = RawConnect(b);
    seen.stream->Write(bytes);
    time.Run({});
    EXPECT_TRUE(seen.closed);
  }
  EXPECT_TRUE(b.requests.empty());
  EXPECT_EQ(b.metrics.peer_refused[PeerRefusal::kBadMessage].value(), 3U);
}

}  // namespace
}  // namespace lariat::peers
