// SPDX-License-Identifier: Apache-2.0
// Streams between loops and plain sockets over the loopback device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "base/prng.h"
#include "env/posix/test_util.h"

namespace lariat::env::posix {
namespace {

using base::Millis;
using base::Seconds;
using testing::HasSubstr;

std::string RandomBytes(size_t count, uint64_t seed) {
  base::Prng prng(seed);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(prng.Next());
  return bytes;
}

TEST(Network, EchoesOnManyConnections) {
  TestServer server(EchoHandler);
  std::vector<PlainSocket> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(PlainSocket::Dial(server.address));
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) clients[i].Send("hello " + std::to_string(i));
    for (size_t i = 0; i < clients.size(); ++i) {
      const std::string expected = "hello " + std::to_string(i);
      EXPECT_EQ(clients[i].Receive(expected.size()), expected);
    }
  }
  EXPECT_EQ(server.open(), 200u);
  clients.clear();
  EXPECT_TRUE(Eventually([&] { return server.open() == 0; }));
}

TEST(Network, OneRequestCostsOneReceiveAndOneSend) {
  TestServer server(EchoHandler);
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("x");
  client.Receive(1);
  const auto& stats = server.loop.network_stats();
  const uint64_t receives = stats.receive_calls.value();
  const uint64_t sends = stats.send_calls.value();
  for (int i = 0; i < 100; ++i) {
    client.Send("request");
    EXPECT_EQ(client.Receive(7), "request");
  }
  EXPECT_EQ(stats.receive_calls.value() - receives, 100u);
  EXPECT_EQ(stats.send_calls.value() - sends, 100u);
}

TEST(Network, WritesOfOneTurnLeaveTogether) {
  const std::string large = RandomBytes(20'000, 1);
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    handler->on_data = [&stream, &large, &server](std::string_view bytes) {
      for (int i = 0; i < 50; ++i) stream.Write("reply,");
      stream.Write(std::string(large));
      server.loop.env().executor.Post([&stream] { stream.Write("from a task"); });
      return bytes.size();
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("go");
  std::string expected;
  for (int i = 0; i < 50; ++i) expected += "reply,";
  expected += large + "from a task";
  EXPECT_EQ(client.Receive(expected.size()), expected);
  EXPECT_EQ(server.loop.network_stats().send_calls.value(), 1u);
}

TEST(Network, LargeTransfersBothWaysWithBackPressure) {
  // The echo stops reading while much is unsent, and goes on when it has left.
  TestServer server([](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    handler->on_data = [&stream](std::string_view bytes) {
      stream.Write(bytes);
      if (stream.UnsentBytes() > 100'000) stream.PauseReading();
      return bytes.size();
    };
    handler->on_drained = [&stream] { stream.ResumeReading(); };
    return handler;
  });
  const std::string bytes = RandomBytes(10 << 20, 2);
  PlainSocket client = PlainSocket::Dial(server.address);
  std::thread sender([&] { client.Send(bytes); });
  const std::string got = client.Receive(bytes.size());
  sender.join();
  EXPECT_TRUE(got == bytes);
}

// Takes fixed frames only, so nearly every delivery leaves something over.
MakeHandler FrameCounter(size_t frame, std::atomic<size_t>* frames) {
  return [frame, frames](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    handler->on_data = [frame, frames](std::string_view bytes) {
      *frames += bytes.size() / frame;
      return bytes.size() - bytes.size() % frame;
    };
    return handler;
  };
}

TEST(Network, KeepsWhatIsNotConsumed) {
  std::atomic<size_t> frames = 0;
  TestServer server(FrameCounter(1'000'003, &frames));
  PlainSocket client = PlainSocket::Dial(server.address);
  const std::string bytes(1'000'003 * 7, 'x');
  client.Send(bytes);
  EXPECT_TRUE(Eventually([&] { return frames == 7; }));
}

TEST(Network, BytesThatTrickleInAreGivenTogether) {
  std::string seen;
  std::atomic<bool> complete = false;
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    handler->on_data = [&](std::string_view bytes) -> size_t {
      if (bytes.back() != '\n') return 0;
      seen = bytes;
      complete = true;
      return bytes.size();
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  std::string line;
  for (int i = 0; i < 300; ++i) {
    line.push_back(static_cast<char>('a' + i % 26));
    client.Send(line.substr(line.size() - 1));
    if (i % 10 == 0) std::this_thread::yield();
  }
  client.Send("\n");
  ASSERT_TRUE(Eventually([&] { return complete.load(); }));
  EXPECT_EQ(seen, line + "\n");
}

TEST(Network, PausedStreamsDeliverNothingAndResumeGivesTheRestAgain) {
  Stream* server_stream = nullptr;
  std::vector<std::string> given;
  bool take = false;
  TestServer server([&](Stream& stream) {
    server_stream = &stream;
    auto handler = std::make_unique<TestHandler>(stream);
    handler->on_data = [&](std::string_view bytes) -> size_t {
      given.emplace_back(bytes);
      if (take) return bytes.size();
      stream.PauseReading();
      return 2;
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("abcdef");
  ASSERT_TRUE(Eventually([&] { return OnLoop(server.loop, [&] { return given.size() == 1; }); }));
  OnLoop(server.loop, [&] {
    take = true;
    server_stream->ResumeReading();
    EXPECT_EQ(given.size(), 1u);  // never from inside the call
  });
  ASSERT_TRUE(Eventually([&] { return OnLoop(server.loop, [&] { return given.size() == 2; }); }));
  EXPECT_EQ(OnLoop(server.loop, [&] { return given[1]; }), "cdef");
  OnLoop(server.loop, [&] { server_stream->PauseReading(); });
  client.Send("more");
  client.ShutdownWrite();
  // Other connections are served meanwhile; this one hears nothing, not even its end.
  PlainSocket other = PlainSocket::Dial(server.address);
  OnLoop(server.loop, [] {});
  EXPECT_EQ(OnLoop(server.loop, [&] { return given.size(); }), 2u);
}

struct Closing {
  std::atomic<int> closed = 0;
  std::atomic<int> destroyed = 0;
  std::string reason;
  bool inside_call = false;
  bool reentered = false;

  void Attach(TestHandler& handler) {
    handler.on_closed = [this](const std::string& why) {
      reason = why;
      reentered = reentered || inside_call;
      ++closed;
    };
    handler.on_destroyed = [this] { ++destroyed; };
  }
};

TEST(Network, CloseCallsOnClosedOnceAndLater) {
  Closing closing;
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    closing.Attach(*handler);
    handler->on_data = [&](std::string_view bytes) {
      closing.inside_call = true;
      stream.Write("lost");
      stream.Close();
      stream.Close();
      stream.CloseAfterWrite();
      stream.Write("ignored");
      stream.ResumeReading();
      closing.inside_call = false;
      return bytes.size();
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("x");
  EXPECT_TRUE(client.AtEnd());
  ASSERT_TRUE(Eventually([&] { return closing.destroyed == 1; }));
  EXPECT_EQ(closing.closed, 1);
  EXPECT_FALSE(closing.reentered);
  EXPECT_THAT(closing.reason, HasSubstr("this side"));
  EXPECT_TRUE(Eventually([&] { return server.open() == 0; }));
}

TEST(Network, CloseAfterWriteSendsEverythingEvenWhenInputIsUnread) {
  const std::string reply = RandomBytes(3 << 20, 3);
  Closing closing;
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    closing.Attach(*handler);
    handler->on_data = [&](std::string_view bytes) {
      stream.Write(std::string(reply));
      stream.CloseAfterWrite();
      return bytes.size();
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("refused request");
  client.Send(std::string(50'000, 'x'));  // a body that the server does not want
  EXPECT_TRUE(client.Receive(reply.size()) == reply);
  EXPECT_TRUE(client.AtEnd());
  client.Close();
  EXPECT_TRUE(Eventually([&] { return closing.destroyed == 1; }));
  EXPECT_EQ(closing.closed, 1);
}

TEST(Network, LingeringEndsWhenThePeerNeverCloses) {
  Closing closing;
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    closing.Attach(*handler);
    stream.Write("bye");
    stream.CloseAfterWrite();
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  EXPECT_EQ(client.Receive(10), "bye");
  EXPECT_TRUE(Eventually([&] { return closing.destroyed == 1; }));
}

TEST(Network, APeersCloseEndsTheStreamAfterItsLastBytes) {
  Closing closing;
  std::string seen;
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    closing.Attach(*handler);
    handler->on_data = [&](std::string_view bytes) {
      seen.append(bytes);
      stream.Write(bytes);
      return bytes.size();
    };
    return handler;
  });
  for (int i = 1; i <= 100; ++i) {
    PlainSocket client = PlainSocket::Dial(server.address);
    client.Send("last");
    client.ShutdownWrite();  // often arrives as one event with the bytes
    EXPECT_EQ(client.Receive(10), "last");
    ASSERT_TRUE(Eventually([&] { return closing.destroyed == i; }));
  }
  EXPECT_EQ(closing.closed, 100);
  EXPECT_EQ(seen.size(), 400u);
  EXPECT_THAT(closing.reason, HasSubstr("the peer"));
}

TEST(Network, AHalfClosedStreamCanStillBeAnswered) {
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    handler->keep_open = true;
    handler->on_data = [&server, &stream](std::string_view bytes) {
      server.loop.env().timers.After(Millis(20), [&stream] {
        stream.Write("late answer");
        stream.CloseAfterWrite();
      });
      return bytes.size();
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("question");
  client.ShutdownWrite();
  EXPECT_EQ(client.Receive(100), "late answer");
  EXPECT_TRUE(Eventually([&] { return server.open() == 0; }));
}

TEST(Network, AResetEndsEvenAPausedStream) {
  Closing closing;
  TestServer server([&](Stream& stream) {
    auto handler = std::make_unique<TestHandler>(stream);
    closing.Attach(*handler);
    handler->on_data = [&](std::string_view bytes) {
      stream.PauseReading();
      stream.Write("ok");
      return bytes.size();
    };
    return handler;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("x");
  EXPECT_EQ(client.Receive(2), "ok");
  const linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  client.Close();
  ASSERT_TRUE(Eventually([&] { return closing.destroyed == 1; }));
  EXPECT_THAT(closing.reason, HasSubstr("reset"));
}

TEST(Network, ConnectsAndExchanges) {
  TestServer server(EchoHandler);
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    ShardLoop loop("client");
    std::string got;
    std::string peer;
    const std::string address = host + server.address.substr(server.address.rfind(':'));
    loop.network().Connect(
        address, Seconds(10),
        [&](Stream& stream) {
          auto handler = std::make_unique<TestHandler>(stream);
          peer = stream.PeerAddress();
          stream.Write("ping");
          handler->on_data = [&](std::string_view bytes) {
            got.append(bytes);
            if (got == "ping") loop.CloseStreams("done");
            return bytes.size();
          };
          handler->on_closed = [&](const std::string& reason) {
            EXPECT_EQ(reason, "done");
            loop.Stop();
          };
          return handler;
        },
        [&](const base::Error& error) {
          ADD_FAILURE() << error.message;
          loop.Stop();
        });
    loop.Run();
    EXPECT_EQ(got, "ping");
    EXPECT_EQ(peer, server.address);
  }
}

base::Error ConnectError(const std::string& address, base::Duration timeout) {
  ShardLoop loop("client");
  base::Error result;
  loop.network().Connect(
      address, timeout, [](Stream& stream) { return std::make_unique<TestHandler>(stream); },
      [&](base::Error error) {
        result = std::move(error);
        loop.Stop();
      });
  loop.Run();
  EXPECT_EQ(loop.network_stats().connects_failed.value(), 1u);
  return result;
}

// A bound socket that does not listen holds a port where every attempt is refused.
struct HeldPort {
  HeldPort() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    SocketAddress any = *NumericAddress({"127.0.0.1", 0});
    EXPECT_EQ(::bind(fd.get(), any.raw(), any.size), 0);
    EXPECT_EQ(::getsockname(fd.get(), any.raw(), &any.size), 0);
    address = AddressText(any);
  }
  Fd fd;
  std::string address;
};

TEST(Network, ConnectErrorsSayWhatWentWrong) {
  const HeldPort held;
  const base::Error refused = ConnectError(held.address, Seconds(10));
  EXPECT_EQ(refused.code, base::Code::kIo);
  EXPECT_THAT(refused.message, HasSubstr(held.address + ": connection refused"));
  EXPECT_EQ(ConnectError("nonsense", Seconds(10)).code, base::Code::kInvalidArgument);
  const base::Error unknown = ConnectError("no-such-host.invalid:80", Seconds(10));
  EXPECT_EQ(unknown.code, base::Code::kIo);
}

TEST(Network, ConnectTimesOut) {
  // A full backlog: the kernel drops further attempts instead of refusing them.
  const HeldPort held;
  ASSERT_EQ(::listen(held.fd.get(), 0), 0);
  std::vector<Fd> fillers;
  for (int i = 0; i < 4; ++i) {
    auto filler = StartConnect(*NumericAddress(*ParseHostPort(held.address)));
    if (filler) fillers.push_back(std::move(*filler));
  }
  const base::Error error = ConnectError(held.address, Millis(100));
  EXPECT_EQ(error.code, base::Code::kIo);
  EXPECT_THAT(error.message, HasSubstr("timed out"));
}

TEST(Network, ClosesWhatIsOverTheLimit) {
  TestServer server(EchoHandler, {.address = "127.0.0.1:0", .connections_max = 2});
  PlainSocket a = PlainSocket::Dial(server.address);
  PlainSocket b = PlainSocket::Dial(server.address);
  a.Send("a");
  EXPECT_EQ(a.Receive(1), "a");
  b.Send("b");
  EXPECT_EQ(b.Receive(1), "b");
  PlainSocket c = PlainSocket::Dial(server.address);
  EXPECT_TRUE(c.AtEnd());
  EXPECT_EQ(server.loop.network_stats().accepts_refused.value(), 1u);
  a.Close();
  ASSERT_TRUE(Eventually([&] { return server.open() == 1; }));
  PlainSocket d = PlainSocket::Dial(server.address);
  d.Send("d");
  EXPECT_EQ(d.Receive(1), "d");
}

TEST(Network, MakesRoomForNewOnesOrSaysWhyNot) {
  Stream* first = nullptr;
  bool may = true;
  ListenOptions options{.address = "127.0.0.1:0", .connections_max = 1};
  options.make_room = [&] {
    if (may) first->Close();
    return may;
  };
  options.refuse = [] { return std::string_view("no room"); };
  TestServer server(
      [&](Stream& stream) {
        first = &stream;
        return EchoHandler(stream);
      },
      std::move(options));
  PlainSocket a = PlainSocket::Dial(server.address);
  a.Send("a");
  EXPECT_EQ(a.Receive(1), "a");
  PlainSocket b = PlainSocket::Dial(server.address);
  b.Send("b");
  EXPECT_EQ(b.Receive(1), "b");
  EXPECT_TRUE(a.AtEnd());
  EXPECT_EQ(server.loop.network_stats().accepts_refused.value(), 0u);
  OnLoop(server.loop, [&] { may = false; });
  PlainSocket c = PlainSocket::Dial(server.address);
  EXPECT_EQ(c.Receive(100), "no room");
  EXPECT_EQ(server.loop.network_stats().accepts_refused.value(), 1u);
}

TEST(Network, WithoutADescriptorItGoesOnAndDoesNotSpin) {
  TestServer server(EchoHandler);
  PlainSocket before = PlainSocket::Dial(server.address);
  before.Send("a");
  EXPECT_EQ(before.Receive(1), "a");
  rlimit usual = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  // The waiting client has its descriptor already; the server finds none for it.
  Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit none = usual;
  none.rlim_cur = 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const SocketAddress to = *NumericAddress(*ParseHostPort(server.address));
  EXPECT_EQ(::connect(client.get(), to.raw(), to.size), 0);
  const auto& errors = server.loop.network_stats().accept_errors;
  EXPECT_TRUE(Eventually([&] { return errors.value() > 0; }));
  const uint64_t turns = server.loop.turns();
  before.Send("b");
  EXPECT_EQ(before.Receive(1), "b");
  EXPECT_LT(server.loop.turns() - turns, 100u);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  PlainSocket waited(std::move(client));
  waited.Send("c");
  EXPECT_EQ(waited.Receive(1), "c");
}

// Of the server's end of this client's connection: both ends are in this process.
int UserTimeoutMs(const PlainSocket& client) {
  SocketAddress mine;
  mine.size = sizeof(mine.storage);
  EXPECT_EQ(::getsockname(client.fd(), mine.raw(), &mine.size), 0);
  for (int fd = 3; fd < 1024; ++fd) {
    SocketAddress theirs;
    theirs.size = sizeof(theirs.storage);
    if (::getpeername(fd, theirs.raw(), &theirs.size) != 0) continue;
    if (AddressText(theirs) != AddressText(mine)) continue;
    int value = -1;
    socklen_t size = sizeof(value);
    EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size), 0);
    return value;
  }
  return -1;
}

TEST(Network, OnlyPeersAreResetForReadingNothing) {
  TestServer clients(EchoHandler);
  TestServer peers(EchoHandler, {.address = "127.0.0.1:0", .user_timeout = Millis(1500)});
  for (const auto& [server, expected] : {std::pair(&clients, 0), std::pair(&peers, 1500)}) {
    PlainSocket client = PlainSocket::Dial(server->address);
    client.Send("x");
    EXPECT_EQ(client.Receive(1), "x");
    EXPECT_EQ(UserTimeoutMs(client), expected);
  }
}

TEST(Network, AHandlerMayRefuseAConnection) {
  TestServer server([](Stream& stream) {
    stream.Write("ignored");
    return nullptr;
  });
  PlainSocket client = PlainSocket::Dial(server.address);
  EXPECT_EQ(client.Receive(10), "");
  EXPECT_EQ(server.open(), 0u);
}

TEST(Network, ShardsShareAnAddress) {
  TestServer first(EchoHandler);
  TestServer second(EchoHandler, {.address = first.address, .joins_other_shard = true});
  EXPECT_EQ(second.address, first.address);
  std::vector<PlainSocket> clients;
  // Which shard gets a connection is decided by a hash; that one gets none of 64 is out of reach.
  for (int i = 0; i < 64; ++i) {
    clients.push_back(PlainSocket::Dial(first.address));
    clients.back().Send("x");
    EXPECT_EQ(clients.back().Receive(1), "x");
  }
  EXPECT_GT(first.open(), 0u);
  EXPECT_GT(second.open(), 0u);
}

base::Error ListenError(ListenOptions options) {
  ShardLoop loop("other");
  const auto bound = loop.network().Listen(std::move(options), EchoHandler);
  EXPECT_FALSE(bound.has_value());
  return bound ? base::Error() : bound.error();
}

TEST(Network, AnAddressInUseIsAnError) {
  TestServer server(EchoHandler);
  // Another process would do just this: listen without joining.
  const base::Error taken = ListenError({.address = server.address});
  EXPECT_EQ(taken.code, base::Code::kConflict);
  EXPECT_EQ(taken.message, "address " + server.address + " is already in use");
  const HeldPort held;
  ASSERT_EQ(::listen(held.fd.get(), 1), 0);
  EXPECT_EQ(ListenError({.address = held.address}).code, base::Code::kConflict);
  EXPECT_EQ(ListenError({.address = held.address, .joins_other_shard = true}).code,
            base::Code::kConflict);
}

TEST(Network, AForeignSharedListenerIsAnErrorToo) {
  const HeldPort held;
  const int on = 1;
  ASSERT_EQ(setsockopt(held.fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
  ASSERT_EQ(::listen(held.fd.get(), 1), 0);
  EXPECT_EQ(ListenError({.address = held.address}).code, base::Code::kConflict);
}

TEST(Network, AnAddressIsFreeAgainRightAfterItsServerStopped) {
  std::string address;
  PlainSocket client{Fd()};
  {
    TestServer server(EchoHandler);
    address = server.address;
    client = PlainSocket::Dial(address);
    client.Send("x");
    EXPECT_EQ(client.Receive(1), "x");
  }
  TestServer again(EchoHandler, {.address = address});
  EXPECT_EQ(again.address, address);
}

TEST(Network, StopListeningKeepsOpenStreams) {
  TestServer server(EchoHandler);
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("x");
  EXPECT_EQ(client.Receive(1), "x");
  OnLoop(server.loop, [&] { server.loop.network().StopListening(); });
  client.Send("y");
  EXPECT_EQ(client.Receive(1), "y");
  EXPECT_THAT(ConnectError(server.address, Seconds(10)).message, HasSubstr("refused"));
}

TEST(Network, ListenAddressErrors) {
  EXPECT_EQ(ListenError({.address = "127.0.0.1"}).code, base::Code::kInvalidArgument);
  EXPECT_EQ(ListenError({.address = "127.0.0.1:99999"}).code, base::Code::kInvalidArgument);
  EXPECT_EQ(ListenError({.address = "192.0.2.1:0"}).code, base::Code::kInvalidArgument);
}

TEST(Network, WorksOverIpv6) {
  ShardLoop probe("probe");
  if (!probe.network().Listen({.address = "[::1]:0"}, EchoHandler)) GTEST_SKIP() << "no IPv6";
  TestServer server(EchoHandler, {.address = "[::1]:0"});
  EXPECT_THAT(server.address, testing::StartsWith("[::1]:"));
  PlainSocket client = PlainSocket::Dial(server.address);
  client.Send("six");
  EXPECT_EQ(client.Receive(3), "six");
}

TEST(Network, ANumericAddressStandsForItself) {
  ShardLoop loop("names");
  std::vector<std::string> found;
  loop.network().Resolve("[::1]:80", [&](auto result) { found = *result; });
  EXPECT_EQ(found, std::vector<std::string>{"[::1]:80"});
}

TEST(Network, LooksANameUp) {
  ShardLoop loop("names");
  base::Result<std::vector<std::string>> result;
  loop.env().executor.Post([&] {
    loop.network().Resolve("localhost:80", [&](base::Result<std::vector<std::string>> found) {
      result = std::move(found);
      loop.Stop();
    });
  });
  loop.Run();
  ASSERT_TRUE(result.has_value());
  EXPECT_THAT(*result, testing::Contains("127.0.0.1:80"));
}

TEST(Network, NonsenseStandsForNothing) {
  ShardLoop loop("names");
  bool failed = false;
  loop.network().Resolve(
      "nonsense", [&](const base::Result<std::vector<std::string>>& found) { failed = !found; });
  EXPECT_TRUE(failed);
}

TEST(Addresses, AreParsedStrictly) {
  const auto parsed = ParseHostPort("[fe80::1]:80");
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->host, "fe80::1");
  EXPECT_EQ(parsed->port, 80);
  EXPECT_EQ(ParseHostPort("node1.example:7480")->host, "node1.example");
  for (const char* bad :
       {"", ":", "host", "host:", ":80", "h:-1", "h:65536", "h:8x", "::1:80", "[]:1"}) {
    EXPECT_FALSE(ParseHostPort(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace lariat::env::posix
