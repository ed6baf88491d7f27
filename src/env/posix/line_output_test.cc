// SPDX-License-Identifier: Apache-2.0
#include "env/posix/line_output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "env/posix/internal/socket.h"
#include "env/posix/test_util.h"

namespace lariat::env::posix {
namespace {

using base::Millis;
using base::Seconds;
using testing::HasSubstr;
using testing::StartsWith;
using Weight = LineOutput::Weight;

// A pipe whose other end reads when told.
struct Pipe {
  Pipe() {
    std::signal(SIGPIPE, SIG_IGN);
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader = Fd(ends[0]);
    writer = Fd(ends[1]);
  }
  // Nothing more fits.
  void FillUp() const {
    const int flags = ::fcntl(writer.get(), F_GETFL);
    ::fcntl(writer.get(), F_SETFL, flags | O_NONBLOCK);
    const std::string block(4096, '#');
    while (::write(writer.get(), block.data(), block.size()) > 0) {
    }
    ::fcntl(writer.get(), F_SETFL, flags);
  }
  // What has come, without waiting.
  std::string Read() const {
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    std::string all;
    std::array<char, 65536> buffer;
    ssize_t got = 0;
    while ((got = ::read(reader.get(), buffer.data(), buffer.size())) > 0) {
      all.append(buffer.data(), static_cast<size_t>(got));
    }
    return all;
  }

  Fd reader, writer;
};

LineOutput::Options To(const Pipe& out, const Pipe& error, size_t bytes_max) {
  return {out.writer.get(), error.writer.get(), bytes_max,
          [](uint64_t count) { return std::to_string(count) + " dropped\n"; }};
}

TEST(LineOutput, KeepsTheOrderOfEachAndMixesNothing) {
  Pipe out, error;
  LineOutput output(To(out, error, 1 << 20));
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    output.Write(LineOutput::To::kError, line);
    expected += line;
  }
  output.Write(LineOutput::To::kOut, "ready\n");
  EXPECT_TRUE(output.Flush(Seconds(10)));
  EXPECT_EQ(error.Read(), expected);
  EXPECT_EQ(out.Read(), "ready\n");
  EXPECT_EQ(output.dropped(), 0u);
}

TEST(LineOutput, AReaderWhoDoesNotReadHoldsUpNobodyAndMissesWhatIsCounted) {
  Pipe out, error;
  error.FillUp();
  LineOutput output(To(out, error, 1000));
  for (int i = 0; i < 100; ++i) output.Write(LineOutput::To::kError, std::string(99, 'a') + "\n");
  EXPECT_EQ(output.dropped(), 90u);
  EXPECT_FALSE(output.Flush(Millis(1)));
  // What explains the end has room, and standard output has a queue of its own.
  output.Write(LineOutput::To::kError, "fatal\n", Weight::kHeavy);
  output.Write(LineOutput::To::kOut, "ready\n");
  EXPECT_EQ(output.dropped(), 90u);
  std::string read;
  EXPECT_TRUE(Eventually([&] { return (read += out.Read()) == "ready\n"; }));
  read.clear();
  EXPECT_TRUE(Eventually([&] {
    read += error.Read();
    return read.ends_with("fatal\n");
  }));
  read.erase(0, read.find_first_not_of('#'));
  EXPECT_EQ(read.size(), 1000 + std::string("90 dropped\nfatal\n").size());
  EXPECT_THAT(read, HasSubstr("a\n90 dropped\nfatal\n"));
  output.Write(LineOutput::To::kError, "later\n");
  EXPECT_TRUE(output.Flush(Seconds(10)));
  EXPECT_EQ(error.Read(), "later\n");
}

TEST(LineOutput, SaysWhatWasDroppedAlsoIfNothingElseIsWritten) {
  Pipe out, error;
  error.FillUp();
  LineOutput output(To(out, error, 10));
  output.Write(LineOutput::To::kError, "0123456789");
  output.Write(LineOutput::To::kError, "lost");
  std::string read;
  EXPECT_TRUE(Eventually([&] {
    read += error.Read();
    return read.ends_with("01234567891 dropped\n");
  }));
}

TEST(LineOutput, EndsInTimeAlthoughNobodyReads) {
  Pipe out, error;
  error.FillUp();
  const auto start = std::chrono::steady_clock::now();
  {
    LineOutput output(To(out, error, 1000));
    output.Write(LineOutput::To::kError, "never read\n");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
}

TEST(LineOutput, AReaderWhoIsGoneIsNoReasonToWait) {
  Pipe out, error;
  error.reader.Close();
  LineOutput output(To(out, error, 1000));
  output.Write(LineOutput::To::kError, "to nobody\n");
  EXPECT_TRUE(output.Flush(Seconds(10)));
  EXPECT_EQ(output.dropped(), 1u);
}

TEST(WriteWithin, GivesUpWhereNobodyReads) {
  Pipe pipe;
  EXPECT_TRUE(WriteWithin(Seconds(10), pipe.writer.get(), "hello\n"));
  EXPECT_EQ(pipe.Read(), "hello\n");
  pipe.FillUp();
  EXPECT_FALSE(WriteWithin(Millis(10), pipe.writer.get(), "hello\n"));
}

}  // namespace
}  // namespace lariat::env::posix
