// SPDX-License-Identifier: Apache-2.0
// All messages of a turn for one peer leave in one frame, and so do their answers. A checker keeps
// books of every message, both ways; bugs that are planted into the frames have to be found by it.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "peers/peer_links.h"
#include "peers/peers_test_util.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/outbox.h"

namespace lariat::peers {
namespace {

// What was sent and what came of it: each message once, with its own content, and small ones in the
// order in which they were sent.
class Books {
 public:
  void Sent(uint64_t id, const std::string& content) { sent_[id] = content; }
  void Came(uint64_t id, const std::string& content) {
    const auto found = sent_.find(id);
    if (found == sent_.end()) return Wrong("a message that nobody sent", id);
    if (found->second != content) return Wrong("the content of another message", id);
    if (++came_[id] > 1) return Wrong("a message that had come before", id);
    const bool small = content.size() < wire::kWholeBytesMax;
    if (small && id < last_small_) Wrong("a message that was overtaken", id);
    if (small) last_small_ = id;
  }
  // Once all is quiet.
  void Close() {
    for (const auto& [id, content] : sent_) {
      if (!came_.contains(id)) Wrong("a message that never came", id);
    }
  }
  const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  void Wrong(const std::string& what, uint64_t id) {
    wrong_.push_back(what + ": " + std::to_string(id));
  }

  std::map<uint64_t, std::string> sent_;
  std::map<uint64_t, int> came_;
  uint64_t last_small_ = 0;
  std::vector<std::string> wrong_;
};

class Side final : public PeerEvents {
 public:
  Side(TestTime& time, TestNet& net, uint64_t number)
      : id{number, number}, address("10.0.0." + std::to_string(number) + ":1"), network_(net) {
    links = std::make_unique<PeerLinks>(time.env(), network_, settings, telemetry::NullLog());
    links->Attach(*this, metrics);
    net.Listen(address, [this](env::Stream& stream) { return links->Accept(stream); });
  }
  wire::Hello MakeHello() const override {
    wire::Hello hello;
    hello.protocol = 1;
    hello.node = id;
    hello.cluster = {5, 5};
    return hello;
  }
  wire::HelloReply OnHello(const wire::Hello&) override {
    wire::HelloReply reply;
    reply.protocol = 1;
    reply.node = id;
    return reply;
  }
  void OnPeerUp(PeerHandle, const base::Uuid&) override {}
  void OnPeerDown(PeerHandle, const base::Error&) override {}
  // The answer has what was asked in it.
  void OnRequest(const base::Uuid&, LinkId link, wire::Envelope&& request) override {
    auto& write = std::get<wire::WriteRequest>(request.body);
    requests.Came(request.id, write.object);
    answers->Sent(request.id, write.object);
    links->Reply(link, {request.id, 0, wire::ReadReply{{}, true, write.object, {}, ""}});
  }
  void OnReply(PeerHandle, wire::Envelope&& reply) override {
    answers->Came(reply.id, std::get<wire::ReadReply>(reply.body).object);
  }

  base::Uuid id;
  std::string address;
  config::Settings settings;
  telemetry::Metrics metrics;
  std::unique_ptr<PeerLinks> links;
  Books requests;            // that came here
  Books* answers = nullptr;  // of the one who asks

 private:
  TestNetwork network_;
};

class GatheringTest : public testing::Test {
 protected:
  GatheringTest() {
    b.answers = &answers;
    a.answers = &answers;
    peer = a.links->Open(b.address, std::nullopt);
    time.Run(base::Millis(10));
    frames_before = a.metrics.peer_frames_sent.value();
  }
  ~GatheringTest() override {
    a.links->Stop();
    b.links->Stop();
    net.CloseAll();
    time.Run(base::Seconds(2));
    time.Clear();
  }
  void Send(size_t bytes) {
    wire::WriteRequest write;
    write.object = std::to_string(++last_id) + std::string(bytes, 'x');
    b.requests.Sent(last_id, write.object);
    ASSERT_TRUE(a.links->Send(peer, {last_id, 1, write}));
  }
  void Turns(uint64_t seed, int count, size_t large_one_in) {
    base::Prng prng(seed);
    for (int turn = 0; turn < count; ++turn) {
      for (uint64_t i = prng.Below(12); i > 0; --i) {
        const bool large = large_one_in > 0 && prng.Below(large_one_in) == 0;
        Send(large ? 3 << 20 : prng.Below(prng.Below(6) == 0 ? 40000 : 600));
      }
      time.Run(base::Millis(static_cast<int64_t>(prng.Below(3))));
    }
    time.Run(base::Seconds(1));
    b.requests.Close();
    answers.Close();
  }

  TestTime time;
  TestNet net{time};
  Side a{time, net, 1}, b{time, net, 2};
  Books answers;
  PeerHandle peer = 0;
  uint64_t last_id = 0;
  uint64_t frames_before = 0;
};

TEST_F(GatheringTest, ATurnIsOneFrameAndItsAnswersAreOne) {
  for (int i = 0; i < 40; ++i) Send(500);
  time.Run(base::Millis(1));
  EXPECT_EQ(a.metrics.peer_frames_sent.value() - frames_before, 1U);
  EXPECT_EQ(b.metrics.peer_frames_sent.value(), 2U);  // the answer to the handshake, too
  EXPECT_EQ(a.metrics.peer_frames_received.value(), 2U);
  b.requests.Close();
  answers.Close();
  EXPECT_TRUE(b.requests.wrong().empty());
  EXPECT_TRUE(answers.wrong().empty());
}

TEST_F(GatheringTest, EachMessageComesOnceAndWhole) {
  Turns(1, 300, 60);
  EXPECT_TRUE(b.requests.wrong().empty()) << b.requests.wrong().front();
  EXPECT_TRUE(answers.wrong().empty()) << answers.wrong().front();
  EXPECT_GT(last_id, 1000U);
  EXPECT_LT(a.metrics.peer_frames_sent.value() - frames_before, last_id / 2);
}

// Every frame of many that has more than one message goes through `change`, which has its messages
// and makes new ones; checksums are right again, so nothing but the books can tell.
template <typename Change>
std::function<std::string(std::string)> Tamper(Change change) {
  return [change](const std::string& bytes) {
    std::string out;
    for (std::string_view rest = bytes; !rest.empty();) {
      const wire::ParsedFrame frame = wire::ParseFrame(rest, 64 << 20);
      if (frame.status != wire::FrameStatus::kFrame) return out.append(rest);
      std::vector<std::string> messages;
      std::string_view payload = frame.payload;
      while (frame.kind == wire::FrameKind::kMessages && !payload.empty()) {
        messages.emplace_back(*wire::TakeMessage(&payload));
      }
      if (messages.size() < 2) {
        out.append(rest.substr(0, frame.size));
      } else {
        change(&messages);
        wire::FrameWriter writer(&out, wire::FrameKind::kMessages);
        for (const std::string& message : messages) {
          out.append(wire::kMessageLengthBytes, '\0');
          const size_t start = out.size();
          out.append(message);
          wire::SetMessageLength(start, &out);
        }
        writer.Finish();
      }
      rest.remove_prefix(frame.size);
    }
    return out;
  };
}

using Messages = std::vector<std::string>;

TEST_F(GatheringTest, PlantedAFrameThatIsLeftAloneIsFine) {
  net.tamper = Tamper([](Messages*) {});
  Turns(2, 100, 0);
  EXPECT_TRUE(b.requests.wrong().empty());
  EXPECT_TRUE(answers.wrong().empty());
}

TEST_F(GatheringTest, PlantedAnAnswerDroppedFromAFrameIsFound) {
  net.tamper = Tamper([](Messages* messages) { messages->pop_back(); });
  Turns(2, 100, 0);
  EXPECT_FALSE(b.requests.wrong().empty());
  EXPECT_FALSE(answers.wrong().empty());
}

TEST_F(GatheringTest, PlantedAFrameTakenTwiceIsFound) {
  net.tamper = Tamper([](Messages* messages) {
    const Messages once = *messages;
    messages->insert(messages->end(), once.begin(), once.end());
  });
  Turns(2, 100, 0);
  EXPECT_FALSE(b.requests.wrong().empty());
  EXPECT_FALSE(answers.wrong().empty());
}

TEST_F(GatheringTest, PlantedAnswersWithEachOthersIdsAreFound) {
  net.tamper = Tamper([](Messages* messages) {
    auto first = *wire::DecodeEnvelope(messages->front());
    auto last = *wire::DecodeEnvelope(messages->back());
    std::swap(first.id, last.id);
    messages->front() = wire::EncodeEnvelope(first);
    messages->back() = wire::EncodeEnvelope(last);
  });
  Turns(2, 100, 0);
  EXPECT_FALSE(b.requests.wrong().empty());
  EXPECT_FALSE(answers.wrong().empty());
}

}  // namespace
}  // namespace lariat::peers
