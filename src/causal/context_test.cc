// SPDX-License-Identifier: Apache-2.0
#include "causal/context.h"

#include <gtest/gtest.h>

#include "base/base64.h"
#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

constexpr std::string_view kBucket = "users";
constexpr std::string_view kKey = "alice";

Context SiblingsContext() {
  Context context;
  context.seen.Add({MakeActor(1), 1});
  context.seen.Add({MakeActor(1), 3});
  context.seen.Add({MakeActor(2, 0x1122334455667788, 300), 1});
  return context;
}

Context LwwContext() { return {{}, HlcStamp::FromWallMs(1'000, 5), 9}; }

// Written from docs/formats/context.md, not from the code.
std::string Seal(std::string_view content, std::string_view bucket = kBucket,
                 std::string_view key = kKey) {
  std::string covered;
  base::ByteWriter out(&covered);
  out.Sized(bucket);
  out.Sized(key);
  out.Raw(content);
  std::string bytes(content);
  base::ByteWriter(&bytes).U64(base::Hash64(covered, 0x4c61726961744378));
  return base::Base64Encode(bytes);
}

void ExpectRefused(std::string_view text, std::string_view bucket = kBucket,
                   std::string_view key = kKey) {
  const auto context = DecodeContext(text, bucket, key);
  ASSERT_FALSE(context) << text;
  ASSERT_EQ(context.error().code, base::Code::kInvalidArgument);
  ASSERT_FALSE(context.error().message.empty());
}

const std::string kSiblingsContent = FromHex(
    "01 01 02 0100000000000000 0700000000000000 00 01 01 02"
    "0200000000000000 8877665544332211 ac02 01 00");
const std::string kLwwContent = FromHex("01 02 0500e80300000000 0900000000000000");

TEST(ContextFormat, HasTheGoldenBytes) {
  EXPECT_EQ(EncodeContext(SiblingsContext(), kBucket, kKey), Seal(kSiblingsContent));
  EXPECT_EQ(EncodeContext(LwwContext(), kBucket, kKey), Seal(kLwwContent));
  EXPECT_EQ(EncodeContext({}, kBucket, kKey), Seal(FromHex("01 01 00")));
}

TEST(ContextFormat, HasTheGoldenText) {
  EXPECT_EQ(EncodeContext(SiblingsContext(), kBucket, kKey),
            "AQECAQAAAAAAAAAHAAAAAAAAAAABAQICAAAAAAAAAIh3ZlVEMyIRrAIBAIxLSpfBt15F");
  EXPECT_EQ(EncodeContext(LwwContext(), kBucket, kKey), "AQIFAOgDAAAAAAkAAAAAAAAAkHi5wYYfWB0=");
}

TEST(Context, RoundTrips) {
  for (const Context& context : {SiblingsContext(), LwwContext(), Context{}}) {
    const auto back = DecodeContext(EncodeContext(context, kBucket, kKey), kBucket, kKey);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, context);
  }
  EXPECT_TRUE(Context{}.Empty());
  EXPECT_FALSE(LwwContext().Empty());
  EXPECT_FALSE(SiblingsContext().Empty());
}

// Guards M9.
TEST(Context, EveryBitFlipIsRefused) {
  for (const Context& context : {SiblingsContext(), LwwContext(), Context{}}) {
    const std::string text = EncodeContext(context, kBucket, kKey);
    for (size_t bit = 0; bit < text.size() * 8; ++bit) {
      std::string flipped = text;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      ExpectRefused(flipped);
    }
    const std::string bytes = base::Base64Decode(text).value();
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      ExpectRefused(base::Base64Encode(flipped));
    }
  }
}

// Guards M9.
TEST(Context, EveryTruncationAndExtensionIsRefused) {
  for (const Context& context : {SiblingsContext(), LwwContext(), Context{}}) {
    const std::string text = EncodeContext(context, kBucket, kKey);
    const std::string bytes = base::Base64Decode(text).value();
    for (size_t size = 0; size < text.size(); ++size) ExpectRefused(text.substr(0, size));
    for (size_t size = 0; size < bytes.size(); ++size) {
      ExpectRefused(base::Base64Encode(bytes.substr(0, size)));
      ExpectRefused(base::Base64Encode(bytes.substr(bytes.size() - size)));
    }
    for (int c = 0; c < 256; ++c) {
      ExpectRefused(text + static_cast<char>(c));
      ExpectRefused(static_cast<char>(c) + text);
      ExpectRefused(base::Base64Encode(bytes + static_cast<char>(c)));
      ExpectRefused(base::Base64Encode(static_cast<char>(c) + bytes));
    }
    ExpectRefused(text + text);
  }
}

// Guards M9.
TEST(Context, IsBoundToBucketAndKey) {
  for (const Context& context : {SiblingsContext(), LwwContext(), Context{}}) {
    const std::string text = EncodeContext(context, "ab", "cd");
    EXPECT_TRUE(DecodeContext(text, "ab", "cd"));
    ExpectRefused(text, "ab", "ce");
    ExpectRefused(text, "aa", "cd");
    ExpectRefused(text, "abc", "d");
    ExpectRefused(text, "a", "bcd");
    ExpectRefused(text, "cd", "ab");
    ExpectRefused(text, "ab", "");
    ExpectRefused(text, "", "abcd");
    ExpectRefused(text, "ab", std::string_view("cd\0", 3));
  }
}

TEST(Context, ContentIsCheckedEvenUnderAGoodChecksum) {
  EXPECT_TRUE(DecodeContext(Seal(kSiblingsContent), kBucket, kKey));
  const std::string bad[] = {
      FromHex(""),
      FromHex("01"),
      FromHex("02 01 00"),                                      // version
      FromHex("01 00 00"),                                      // kind
      FromHex("01 03 00"),                                      // kind
      FromHex("01 01"),                                         // no set
      FromHex("01 01 00 00"),                                   // tail
      FromHex("01 02 0000000000000000 0000000000000000"),       // nothing seen, twice written
      FromHex("01 02 0500e80300000000 09000000000000"),         // cut
      FromHex("01 02 0500e80300000000 0900000000000000 00"),    // tail
      kSiblingsContent.substr(0, kSiblingsContent.size() - 1),  // cut
  };
  for (const std::string& content : bad) ExpectRefused(Seal(content));
}

TEST(Context, AcceptsTheLargestThatIsGivenOutAndNoMore) {
  Context context;
  for (uint64_t node = 1; node <= kContextActorsMax; ++node) {
    const Actor actor{~node, ~node, ~node};
    context.seen.Add({actor, kCounterMax - 2});
    context.seen.Add({actor, kCounterMax});
  }
  const std::string text = EncodeContext(context, kBucket, kKey);
  EXPECT_LE(text.size(), kContextBytesMax);
  EXPECT_TRUE(DecodeContext(text, kBucket, kKey));
  ExpectRefused(std::string(kContextBytesMax + 4, 'A'));

  std::string content = FromHex("01 01");
  base::ByteWriter out(&content);
  context.seen.Add({MakeActor(1), 1});
  context.seen.Encode(&out);
  ExpectRefused(Seal(content));
  EXPECT_TRUE(DecodeContext(EncodeContext(context, kBucket, kKey), kBucket, kKey))
      << "what is too large is trimmed";
}

TEST(Context, ALongRaceKeepsTheTextShort) {
  Context context;
  for (uint64_t counter = 2; counter < 100'000; counter += 2) {
    context.seen.Add({MakeActor(1), counter});
  }
  const std::string text = EncodeContext(context, kBucket, kKey);
  EXPECT_LT(text.size(), 1'000U);
  const auto back = DecodeContext(text, kBucket, kKey);
  ASSERT_TRUE(back);
  EXPECT_TRUE(context.seen.Covers(back->seen));
  EXPECT_EQ(back->seen.Max(MakeActor(1)), 99'998U);
}

}  // namespace
}  // namespace lariat::causal
