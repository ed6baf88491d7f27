// SPDX-License-Identifier: Apache-2.0
#include "env/tls/tls_network.h"

#include "env/tls/tls_test_util.h"

namespace lariat::env::tls {
namespace {

using telemetry::TlsFailure;
using testing::HasSubstr;

// A listener whose handlers echo, and what it saw.
class TlsTest : public testing::Test {
 protected:
  void Listen(TlsNetwork& network, const std::string& address) {
    auto bound = network.Listen({.address = address}, [this](Stream& stream) {
      ++accepted;
      identity = stream.PeerIdentity();
      auto handler = std::make_unique<TestHandler>(stream);
      server = handler.get();
      handler->closed_as = &server_closed;
      handler->on_data = [this, &stream](std::string_view bytes) {
        if (on_data) return on_data(bytes);
        stream.Write(bytes);
        return bytes.size();
      };
      return handler;
    });
    ASSERT_TRUE(bound.has_value());
  }
  RawClient& Dial(SSL_CTX* with, const std::string& address = "door") {
    RawClient* made = nullptr;
    MakeHandler make = [&](Stream& stream) {
      auto client = std::make_unique<RawClient>(stream, with);
      made = client.get();
      return client;
    };
    last = &world.Join(address, make);
    last->keep_handler = true;
    world.Run();
    return *made;
  }
  // Sends plain bytes and returns what comes back.
  MemoryStream& DialPlain(const std::string& bytes, const std::string& address = "door") {
    MakeHandler make = [&](Stream& stream) {
      stream.Write(bytes);
      auto handler = std::make_unique<TestHandler>(stream);
      handler->on_data = [](std::string_view) { return 0; };  // stays in `in`
      return handler;
    };
    MemoryStream& near = world.Join(address, make);
    world.Run();
    return near;
  }
  // Connects through `network`; the failure, or empty.
  std::string DialPeer(TlsNetwork& network, const std::string& address = "peer") {
    std::string failure;
    dialled.clear();
    std::string closed;
    network.Connect(
        address, base::Seconds(5),
        [&](Stream& stream) {
          dialled = stream.PeerIdentity();
          auto handler = std::make_unique<TestHandler>(stream);
          handler->closed_as = &closed;
          stream.Write("hello");
          handler->read = &peer_read;
          return handler;
        },
        [&](const base::Error& error) { failure = error.message; });
    world.Run();
    return failure.empty() ? closed : failure;
  }

  World world;
  TestAuthority authority;
  TestNode node{world, authority.NodeContexts("n1")};
  SslContext context = RawContext(authority.issued.certificate);
  MemoryStream* last = nullptr;
  TestHandler* server = nullptr;
  std::function<size_t(std::string_view)> on_data;
  std::string identity, server_closed, dialled, peer_read;
  int accepted = 0;
};

TEST_F(TlsTest, EchoesInPiecesOfAnySize) {
  Listen(node.clients, "door");
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{1000}, SIZE_MAX}) {
    world.piece = piece;
    RawClient& client = Dial(context.get());
    client.Write("one");
    client.Write("two");
    world.Run();
    EXPECT_EQ(client.read, "onetwo") << piece;
  }
  EXPECT_EQ(node.metrics.tls_handshakes.value(), 4U);
  EXPECT_EQ(node.metrics.tls_key_operations.value(), 4U);
  EXPECT_EQ(node.metrics.tls_handshakes_under_way.value(), 0);
  EXPECT_EQ(world.timers(), 0U);
}

TEST_F(TlsTest, CarriesMuchBothWays) {
  Listen(node.clients, "door");
  world.piece = 5000;
  RawClient& client = Dial(context.get());
  std::string much(3 << 20, 'x');
  for (size_t i = 0; i < much.size(); i += 1000) much[i] = static_cast<char>('a' + i % 26);
  client.Write(much);
  world.Run();
  EXPECT_EQ(client.read, much);
}

TEST_F(TlsTest, WhatIsLeftIsGivenAgain) {
  Listen(node.clients, "door");
  std::vector<std::string> given;
  on_data = [&](std::string_view bytes) {
    given.emplace_back(bytes);
    return bytes.size() < 6 ? 0 : bytes.size();
  };
  RawClient& client = Dial(context.get());
  for (const char* part : {"ab", "cd", "ef"}) {
    client.Write(part);
    world.Run();
  }
  EXPECT_THAT(given, testing::ElementsAre("ab", "abcd", "abcdef"));
}

TEST_F(TlsTest, APauseStopsTheSenderAndLosesNothing) {
  Listen(node.clients, "door");
  std::string read;
  on_data = [&](std::string_view bytes) -> size_t {
    read += bytes.substr(0, 1);
    server->stream.PauseReading();
    return 1;
  };
  RawClient& client = Dial(context.get());
  client.Write("abc");
  world.Run();
  EXPECT_EQ(read, "a");
  client.Write("de");
  world.Run();
  EXPECT_EQ(read, "a");
  EXPECT_FALSE(last->other->in.empty());  // not read: the sender will feel it
  for (int i = 0; i < 4; ++i) {
    server->stream.ResumeReading();
    EXPECT_EQ(read.size(), 1U + static_cast<size_t>(i)) << "never from inside the call";
    world.Run();
  }
  EXPECT_EQ(read, "abcde");
}

TEST_F(TlsTest, AHalfClosedConnectionStillGetsItsReplies) {
  Listen(node.clients, "door");
  RawClient& client = Dial(context.get());
  server->keep_open = true;
  client.Write("last");
  SSL_shutdown(client.ssl());
  client.Send();
  world.Run();
  EXPECT_TRUE(server->peer_closed);
  EXPECT_EQ(client.read, "last");
  server->stream.Write("more");
  server->stream.CloseAfterWrite();
  world.Run();
  EXPECT_EQ(client.read, "lastmore");
  EXPECT_NE(SSL_get_shutdown(client.ssl()) & SSL_RECEIVED_SHUTDOWN, 0) << "no close_notify";
}

TEST_F(TlsTest, ACutIsNoEnd) {
  Listen(node.clients, "door");
  Dial(context.get());
  server->keep_open = true;
  last->CloseAfterWrite();  // FIN without close_notify
  world.Run();
  EXPECT_THAT(server_closed, HasSubstr("without a close in TLS"));
}

TEST_F(TlsTest, PlainBytesAreRefused) {
  Listen(node.clients, "door");
  Listen(node.peers, "peer");
  for (const char* address : {"door", "peer"}) {
    for (const char* bytes :
         {"GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "LRT1 plain frames"}) {
      EXPECT_TRUE(DialPlain(bytes, address).gone) << bytes;
    }
  }
  EXPECT_EQ(node.Failed(TlsFailure::kNotTls), 6U);
  EXPECT_EQ(accepted, 0);
  EXPECT_THAT(DialPlain("GET / HTTP/1.1\r\n\r\n").in, HasSubstr("this port speaks TLS"));
  EXPECT_EQ(DialPlain("GET / HTTP/1.1\r\n\r\n", "peer").in, "");
}

TEST_F(TlsTest, OldVersionsAreRefused) {
  Listen(node.clients, "door");
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  RawClient& client = Dial(context.get());
  EXPECT_FALSE(client.done());
  EXPECT_THAT(client.trouble, HasSubstr("protocol version"));
  EXPECT_EQ(node.Failed(TlsFailure::kOldVersion), 1U);
}

TEST_F(TlsTest, Tls12IsTakenAndNotRenegotiated) {
  Listen(node.clients, "door");
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  RawClient& client = Dial(context.get());
  ASSERT_TRUE(client.done());
  SSL_renegotiate(client.ssl());
  SSL_do_handshake(client.ssl());
  client.Send();
  world.Run();
  EXPECT_EQ(node.metrics.tls_key_operations.value(), 1U);
  EXPECT_THAT(client.trouble, HasSubstr("no renegotiation"));
}

TEST_F(TlsTest, AStrangerHearsThatTheAuthorityIsAnother) {
  Listen(node.clients, "door");
  const TestAuthority other;
  const SslContext believes_other = RawContext(other.issued.certificate);
  RawClient& client = Dial(believes_other.get());
  EXPECT_THAT(client.trouble, HasSubstr("certificate verify failed"));
  EXPECT_EQ(node.Failed(TlsFailure::kRefused), 1U);
}

TEST_F(TlsTest, AUserIsNamedByTheCertificate) {
  Listen(node.clients, "door");
  Dial(context.get());
  EXPECT_EQ(identity, "");
  const Issued ann = *IssueUser(authority.issued, "ann", Good());
  const SslContext with = RawContext(authority.issued.certificate, &ann);
  EXPECT_TRUE(Dial(with.get()).done());
  EXPECT_EQ(identity, "ann");
  // A node that comes as a client is no user of its name.
  const Issued n2 = *IssueNode(authority.issued, "n2", {}, Good());
  const SslContext as_node = RawContext(authority.issued.certificate, &n2);
  EXPECT_TRUE(Dial(as_node.get()).done());
  EXPECT_EQ(identity, "");
  EXPECT_EQ(accepted, 3);
}

TEST_F(TlsTest, ABadClientCertificateIsRefused) {
  Listen(node.clients, "door");
  const TestAuthority other("test");
  const Issued stranger = *IssueUser(other.issued, "ann", Good());
  const Issued late = *IssueUser(authority.issued, "ann", {RealNow() - 7200, RealNow() - 60});
  for (const Issued* leaf : {&stranger, &late}) {
    const SslContext with = RawContext(authority.issued.certificate, leaf);
    Dial(with.get());
  }
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(node.Failed(TlsFailure::kCertificate), 2U);
}

TEST_F(TlsTest, ARevokedCertificateIsRefused) {
  const Issued ann = *IssueUser(authority.issued, "ann", Good());
  const Issued bob = *IssueUser(authority.issued, "bob", Good());
  TestAuthority after = authority;
  for (const Issued* each : {&ann, &bob}) {
    auto list = Revoke(after.issued, each->certificate, {RealNow() - 60, RealNow() + 86400});
    ASSERT_TRUE(list.has_value()) << list.error().message;
    after.issued.certificate = *list;
  }
  node.shard.Use(after.NodeContexts("n1"));
  Listen(node.clients, "door");
  for (const Issued* each : {&ann, &bob}) {
    const SslContext with = RawContext(authority.issued.certificate, each);
    Dial(with.get());
  }
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(node.Failed(TlsFailure::kCertificate), 2U);
  const Issued again = *IssueUser(after.issued, "ann", Good());
  const SslContext with = RawContext(authority.issued.certificate, &again);
  EXPECT_TRUE(Dial(with.get()).done());
  EXPECT_EQ(identity, "ann");
  EXPECT_FALSE(Revoke(TestAuthority().issued, ann.certificate, Good()).has_value());
}

TEST_F(TlsTest, PeersKnowEachOtherByName) {
  Listen(node.peers, "peer");
  TestNode other(world, authority.NodeContexts("n2"));
  EXPECT_EQ(DialPeer(other.peers), "");
  EXPECT_EQ(dialled, "n1");
  EXPECT_EQ(identity, "n2");
  EXPECT_EQ(peer_read, "hello");
}

TEST_F(TlsTest, PeersWithoutAGoodCertificateAreRefused) {
  Listen(node.peers, "peer");
  EXPECT_EQ(accepted, 0);
  Dial(context.get(), "peer");  // none
  EXPECT_EQ(node.Failed(TlsFailure::kCertificate), 1U);
  const Issued ann = *IssueUser(authority.issued, "ann", Good());
  const SslContext with = RawContext(authority.issued.certificate, &ann);
  RawClient& client = Dial(with.get(), "peer");
  EXPECT_EQ(node.Failed(TlsFailure::kIdentity), 1U);
  EXPECT_NE(client.trouble, "");
  const TestAuthority elsewhere("test");
  TestNode stranger(world, elsewhere.NodeContexts("n2"));
  EXPECT_THAT(DialPeer(stranger.peers), HasSubstr("certificate is no good"));
  EXPECT_EQ(accepted, 0);
}

TEST_F(TlsTest, ANodeOfAnotherClusterIsRefusedAlthoughItsAuthorityIsTheSame) {
  Listen(node.peers, "peer");
  // One key for two labels: an operator's authority that serves two clusters.
  const Issued n2 = *IssueNode(authority.issued, "n2", {}, Good());
  const auto contexts = authority.NodeContexts("n2");
  const auto cert = ReadCertificates(n2.certificate);
  EXPECT_TRUE(contexts->Identify(cert[0].get(), Role::kPeerIn).has_value());
  const TestAuthority other("other");
  const auto foreign = ReadCertificates(IssueNode(other.issued, "n2", {}, Good())->certificate);
  const auto refused = contexts->Identify(foreign[0].get(), Role::kPeerIn);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("is for the cluster 'other', this one is 'test'"));
}

TEST_F(TlsTest, ASessionIsTakenUpWithoutTheKey) {
  Listen(node.clients, "door");
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT);
  RawClient& first = Dial(context.get());
  SSL_SESSION* session = SSL_get1_session(first.ssl());
  MakeHandler again = [&](Stream& stream) {
    return std::make_unique<RawClient>(stream, context.get(), session);
  };
  world.Join("door", again);
  world.Run();
  SSL_SESSION_free(session);
  EXPECT_EQ(node.metrics.tls_handshakes.value(), 2U);
  EXPECT_EQ(node.metrics.tls_resumed.value(), 1U);
  EXPECT_EQ(node.metrics.tls_key_operations.value(), 1U);
}

TEST_F(TlsTest, HandshakesAreLimitedInNumberAndTime) {
  TestNode small(world, authority.NodeContexts("n1"), {.handshakes_max = 2});
  Listen(small.clients, "small");
  for (int i = 0; i < 3; ++i) DialPlain("\x16", "small");  // the first byte of a handshake
  EXPECT_EQ(small.Failed(TlsFailure::kTooMany), 1U);
  EXPECT_EQ(small.metrics.tls_handshakes_under_way.value(), 2);
  world.Advance(base::Seconds(11));
  EXPECT_EQ(small.Failed(TlsFailure::kTimeout), 2U);
  EXPECT_EQ(small.metrics.tls_handshakes_under_way.value(), 0);
  EXPECT_TRUE(Dial(context.get(), "small").done());
}

TEST_F(TlsTest, TheSilentKeepNobodyOut) {
  TestNode small(world, authority.NodeContexts("n1"), {.handshakes_max = 2});
  Listen(small.clients, "small");
  for (int i = 0; i < 5; ++i) DialPlain("", "small");
  EXPECT_EQ(small.metrics.tls_handshakes_under_way.value(), 2);
  EXPECT_TRUE(Dial(context.get(), "small").done());
  EXPECT_EQ(small.Failed(TlsFailure::kTooMany), 4U);
  world.Advance(base::Seconds(11));  // the last one's time is over before its shard is gone
  EXPECT_EQ(small.Failed(TlsFailure::kTimeout), 1U);
}

TEST_F(TlsTest, AStormGetsItsTurnsBetweenTheOthers) {
  Listen(node.clients, "door");
  RawClient& kept = Dial(context.get());
  const uint64_t before = node.metrics.tls_key_operations.value();
  for (int i = 0; i < 40; ++i) {
    MakeHandler make = [&](Stream& stream) {
      return std::make_unique<RawClient>(stream, context.get());
    };
    world.Join("door", make);
  }
  kept.Write("x");
  int turns = 0;
  while (kept.read.empty() && turns < 10) {
    world.Turn();
    ++turns;
  }
  EXPECT_LT(turns, 6);
  EXPECT_LE(node.metrics.tls_key_operations.value() - before, 4U * static_cast<uint64_t>(turns));
  world.Run();
  EXPECT_EQ(node.metrics.tls_key_operations.value() - before, 40U);
}

TEST_F(TlsTest, ChangedFilesAreForNewConnectionsAndOldOnesGoOn) {
  Listen(node.clients, "door");
  RawClient& old = Dial(context.get());
  const TestAuthority next("test");
  node.shard.Use(next.NodeContexts("n1"));
  old.Write("still");
  world.Run();
  EXPECT_EQ(old.read, "still");
  EXPECT_FALSE(Dial(context.get()).done());
  const SslContext believes_next = RawContext(next.issued.certificate);
  EXPECT_TRUE(Dial(believes_next.get()).done());
}

TEST_F(TlsTest, WhoeverIsLateFindsTheDoorShut) {
  Listen(node.clients, "door");
  MakeHandler make = [&](Stream& stream) {
    return std::make_unique<RawClient>(stream, context.get());
  };
  MemoryStream& near = world.Join("door", make);
  node.clients.StopListening();
  world.Run();
  EXPECT_EQ(accepted, 0);
  EXPECT_TRUE(near.other->gone);
}

TEST_F(TlsTest, WhileItIsTurnedOnEitherIsTaken) {
  TestNode half(world, authority.NodeContexts("n2"), {}, Plain::kTaken);
  Listen(half.clients, "door");
  EXPECT_EQ(DialPlain("plain").in, "plain");
  EXPECT_EQ(accepted, 1);
  EXPECT_TRUE(Dial(context.get()).done());
  EXPECT_EQ(accepted, 2);
  DialPlain("");  // says nothing
  world.Advance(base::Seconds(11));
  EXPECT_EQ(accepted, 2);
  EXPECT_EQ(world.timers(), 0U);
}

TEST_F(TlsTest, WhileItIsTurnedOnPeersMeetInEveryPair) {
  TestNode half(world, authority.NodeContexts("n2"), {}, Plain::kTaken);
  Listen(half.peers, "half");
  Listen(node.peers, "strict");
  std::string got;
  world.Listen({.address = "old"}, [&](Stream& stream) {  // knows of no TLS
    auto handler = std::make_unique<TestHandler>(stream);
    handler->on_data = [&got, &stream](std::string_view bytes) {
      if (bytes.front() == 0x16) {
        stream.Close();
      } else {
        got += bytes;
      }
      return bytes.size();
    };
    return handler;
  });
  EXPECT_EQ(DialPeer(half.peers, "strict"), "");
  EXPECT_EQ(dialled, "n1");
  EXPECT_EQ(DialPeer(node.peers, "half"), "");
  EXPECT_EQ(dialled, "n2");
  EXPECT_NE(DialPeer(half.peers, "old"), "");
  EXPECT_EQ(DialPeer(half.peers, "old"), "");
  EXPECT_EQ(got, "hello");
  EXPECT_NE(DialPeer(half.peers, "old"), "");  // TLS is tried again
  EXPECT_NE(DialPeer(node.peers, "old"), "");
  EXPECT_NE(DialPeer(node.peers, "old"), "");  // who is strict stays so
}

}  // namespace
}  // namespace lariat::env::tls
