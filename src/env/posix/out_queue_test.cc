// SPDX-License-Identifier: Apache-2.0
#include "env/posix/internal/out_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/prng.h"

namespace lariat::env::posix {
namespace {

TEST(OutQueue, AgreesWithAString) {
  base::Prng prng(3);
  OutQueue queue;
  std::string model;
  for (int i = 0; i < 20000; ++i) {
    const bool large = prng.Chance(0.1);
    const std::string bytes(prng.Below(large ? 40'000 : 200), static_cast<char>('a' + i % 26));
    model += bytes;
    if (prng.Chance(0.5)) {
      queue.Append(std::string_view(bytes));
    } else {
      queue.Append(std::string(bytes));
    }
    ASSERT_EQ(queue.size(), model.size());
    if (!prng.Chance(0.4)) continue;
    std::array<iovec, 5> buffers;
    const size_t count = queue.Fill(buffers);
    std::string front;
    for (size_t b = 0; b < count; ++b) {
      front.append(static_cast<const char*>(buffers[b].iov_base), buffers[b].iov_len);
    }
    ASSERT_TRUE(model.starts_with(front));
    ASSERT_EQ(front.empty(), model.empty());
    const size_t sent = prng.Chance(0.7) ? front.size() : prng.Below(front.size() + 1);
    queue.Consume(sent);
    model.erase(0, sent);
  }
}

TEST(OutQueue, SmallWritesShareABufferAndLargeStringsAreNotCopied) {
  OutQueue queue;
  for (int i = 0; i < 100; ++i) queue.Append(std::string_view("small"));
  std::string large(100'000, 'x');
  const char* data = large.data();
  queue.Append(std::move(large));
  queue.Append(std::string_view("after"));
  std::array<iovec, 8> buffers;
  ASSERT_EQ(queue.Fill(buffers), 3u);
  EXPECT_EQ(buffers[0].iov_len, 500u);
  EXPECT_EQ(buffers[1].iov_base, data);
}

}  // namespace
}  // namespace lariat::env::posix
