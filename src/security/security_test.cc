// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "base/base64.h"
#include "base/prng.h"
#include "security/book_change.h"
#include "security/login_limits.h"
#include "security/password.h"
#include "security/rights.h"
#include "security/secret.h"
#include "security/token.h"

namespace lariat::security {
namespace {

using base::Code;
using Verb = BookChange::Verb;

const std::string kKey(32, 'k');

Book Make(const Book& book, const BookChange& change) {
  auto next = Apply(book, change);
  EXPECT_TRUE(next.has_value()) << next.error().message;
  return next && *next ? **next : book;
}

Code CodeOf(const Book& book, const BookChange& change) {
  const auto next = Apply(book, change);
  return next ? Code::kOk : next.error().code;
}

Grant On(uint8_t actions, std::string bucket, std::string prefix = "") {
  return {actions, std::move(bucket), std::move(prefix)};
}

// "ada" reads and writes keys that begin with "user:" in "carts".
Book WithAda() {
  Book book = FirstBook(kKey, "hash of admin");
  book = Make(book, {Verb::kPutRole, "editor"});
  book = Make(book, {Verb::kGrant, "editor", {}, {}, On(3, "carts", "user:")});
  return Make(book, {Verb::kPutUser, "ada", "hash of ada", {{"editor"}}});
}

TEST(Book, ComesBackFromItsBytes) {
  const Book book = WithAda();
  EXPECT_EQ(DecodeBook(EncodeBook(book)), book);
}

TEST(Book, BytesAreThoseOfTheFormat) {
  Book book = FirstBook(kKey, "h");
  const std::string bytes = EncodeBook(book);
  const std::string expected = std::string("LARACC01") + std::string("\1\0\0\0\0\0\0\0", 8) +
                               "\x20" + kKey +
                               std::string("\1\5admin\1h\1\0\0\0\0\0\0\0\1\5admin", 24) +
                               std::string("\1\5admin\1\xf\1*\0", 12);
  EXPECT_EQ(bytes, expected);
}

TEST(Book, RefusesWhatIsDamaged) {
  const std::string bytes = EncodeBook(WithAda());
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(DecodeBook(bytes.substr(0, cut))) << cut;
  }
  base::Prng prng(7);
  for (int i = 0; i < 20000; ++i) {
    std::string other = bytes;
    other[prng.Next() % other.size()] = static_cast<char>(prng.Next());
    const auto book = DecodeBook(other);
    if (book) {
      EXPECT_EQ(EncodeBook(*book), other);  // canonical, whatever it says
    }
  }
}

TEST(BookChange, RefusesWhatWouldLeaveNobodyToAdminister) {
  const Book book = WithAda();
  EXPECT_EQ(CodeOf(book, {Verb::kDropUser, "admin"}), Code::kConflict);
  EXPECT_EQ(CodeOf(book, {Verb::kPutUser, "admin", {}, std::set<std::string>{}}), Code::kConflict);
  EXPECT_EQ(CodeOf(book, {Verb::kRevoke, "admin", {}, {}, On(8, "*")}), Code::kConflict);
  const Book two = Make(book, {Verb::kPutUser, "ada", {}, {{"admin"}}});
  EXPECT_EQ(CodeOf(two, {Verb::kDropUser, "admin"}), Code::kOk);
}

TEST(BookChange, SaysWhatIsNotThere) {
  const Book book = WithAda();
  EXPECT_EQ(CodeOf(book, {Verb::kDropUser, "eve"}), Code::kNotFound);
  EXPECT_EQ(CodeOf(book, {Verb::kDropRole, "none"}), Code::kNotFound);
  EXPECT_EQ(CodeOf(book, {Verb::kDropRole, "editor"}), Code::kConflict);
  EXPECT_EQ(CodeOf(book, {Verb::kPutUser, "eve", {}, {{"none"}}}), Code::kNotFound);
  EXPECT_EQ(CodeOf(book, {Verb::kRevoke, "editor", {}, {}, On(4, "carts", "user:")}),
            Code::kNotFound);
}

TEST(BookChange, RefusesBadNamesAndGrants) {
  const Book book = WithAda();
  for (const std::string& name : {std::string(), std::string(65, 'a'), std::string("a b"),
                                  std::string("a\n"), std::string("a:b")}) {
    EXPECT_EQ(CodeOf(book, {Verb::kPutUser, name}), Code::kInvalidArgument) << name;
  }
  for (const Grant& grant : {On(0, "carts"), On(16, "carts"), On(1, ""), On(1, "a*"),
                             On(1, "carts", std::string(257, 'p')), On(8, "carts", "user:")}) {
    EXPECT_EQ(CodeOf(book, {Verb::kGrant, "editor", {}, {}, grant}), Code::kInvalidArgument);
  }
}

TEST(BookChange, HasALimit) {
  Book book = FirstBook(kKey, "h");
  for (size_t i = book.users.size(); i < kUsersMax; ++i) {
    book.users["u" + std::to_string(i)] = {};
  }
  EXPECT_EQ(CodeOf(book, {Verb::kPutUser, "one.more"}), Code::kTooLarge);
  book = FirstBook(kKey, "h");
  book.roles["big"] = {};
  for (size_t i = 0; i < kGrantsMax; ++i) {
    book.roles["big"].grants.push_back(
        On(1, "b" + std::to_string(10000 + i), std::string(255, 'p')));
  }
  EXPECT_EQ(CodeOf(book, {Verb::kGrant, "big", {}, {}, On(2, "b10000", std::string(255, 'p'))}),
            Code::kTooLarge);
}

TEST(BookChange, ANewPasswordAndANewUserOfTheNameHaveAnotherGeneration) {
  const Book book = WithAda();
  const Book changed = Make(book, {Verb::kPutUser, "ada", "another"});
  EXPECT_NE(changed.users.at("ada").generation, book.users.at("ada").generation);
  const Book gone = Make(book, {Verb::kDropUser, "ada"});
  const Book back = Make(gone, {Verb::kPutUser, "ada", "hash of ada"});
  EXPECT_NE(back.users.at("ada").generation, book.users.at("ada").generation);
}

TEST(BookChange, WhatChangesNothingIsNoChange) {
  const Book book = WithAda();
  EXPECT_FALSE(*Apply(book, {Verb::kPutRole, "editor"}));
  EXPECT_FALSE(*Apply(book, {Verb::kGrant, "editor", {}, {}, On(1, "carts", "user:")}));
}

TEST(Rights, DeniesUnlessGranted) {
  const Book book = WithAda();
  const Rights rights(book);
  const auto* ada = rights.Find("ada", book.users.at("ada").generation);
  ASSERT_NE(ada, nullptr);
  EXPECT_TRUE(ada->Allows(Action::kRead, "carts", "user:1"));
  EXPECT_TRUE(ada->Allows(Action::kWrite, "carts", "user:"));
  EXPECT_FALSE(ada->Allows(Action::kDelete, "carts", "user:1"));
  EXPECT_FALSE(ada->Allows(Action::kAdmin, "carts", ""));
  EXPECT_FALSE(ada->Allows(Action::kRead, "carts", "user"));
  EXPECT_FALSE(ada->Allows(Action::kRead, "carts", "users"));
  EXPECT_FALSE(ada->Allows(Action::kRead, "carts2", "user:1"));
  EXPECT_FALSE(ada->Allows(Action::kRead, "*", "user:1"));
  EXPECT_EQ(rights.Find("ada", 0), nullptr);
  EXPECT_EQ(rights.Find("eve", 1), nullptr);
}

TEST(Rights, ARangeNeedsOneGrantOverAllOfIt) {
  const Book book = WithAda();
  const Rights rights(book);
  const auto* ada = rights.Find("ada", book.users.at("ada").generation);
  const auto allows = [ada](std::string_view start, std::string_view end) {
    return ada->AllowsRange(Action::kRead, "carts", start, end);
  };
  EXPECT_TRUE(allows("user:", "user;"));
  EXPECT_TRUE(allows("user:a", "user:b"));
  EXPECT_FALSE(allows("user:", ""));
  EXPECT_FALSE(allows("", "user;"));
  EXPECT_FALSE(allows("user:", "user;a"));
  EXPECT_FALSE(allows("usera", "userb"));
  const auto* admin = rights.Find("admin", 1);
  EXPECT_TRUE(admin->AllowsRange(Action::kDelete, "any", "", ""));
}

// Against the definition: a range is allowed only if each of its keys is.
TEST(Rights, ARangeIsNeverMoreThanItsKeys) {
  base::Prng prng(11);
  const auto text = [&prng](size_t most) {
    std::string t;
    for (size_t i = prng.Next() % (most + 1); i > 0; --i) t += "ab\xff"[prng.Next() % 3];
    return t;
  };
  for (int i = 0; i < 20000; ++i) {
    Rights::OfUser user;
    user.grants = {On(1, "b", text(2))};
    const std::string start = text(3), end = text(3), key = text(4);
    const bool inside = key >= start && (end.empty() || key < end);
    if (!inside || !user.AllowsRange(Action::kRead, "b", start, end)) continue;
    EXPECT_TRUE(user.Allows(Action::kRead, "b", key));
  }
}

TEST(Password, IsRecognisedAndNothingElseIs) {
  const auto hash = HashPassword("correct horse", std::string(16, 's'));
  ASSERT_TRUE(hash);
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << *hash;
  EXPECT_TRUE(IsPassword(*hash, "correct horse"));
  EXPECT_FALSE(IsPassword(*hash, "correct horse "));
  EXPECT_FALSE(IsPassword("", "correct horse"));
  EXPECT_FALSE(IsPassword("$argon2id$broken", "correct horse"));
  EXPECT_FALSE(CheckPassword("short"));
  EXPECT_FALSE(CheckPassword(std::string(513, 'x')));
}

// Otherwise a wrong password for nobody would be told from one for somebody by its time.
TEST(Password, NobodysHashTakesAsLongAsAnother) {
  const std::string hash = *HashPassword("correct horse", std::string(16, 's'));
  EXPECT_EQ(NobodysHash().substr(0, 31), hash.substr(0, 31));
  EXPECT_EQ(NobodysHash().size() + 2, hash.size());  // a salt of 15 bytes instead of 16
  EXPECT_FALSE(IsPassword(NobodysHash(), ""));
}

TEST(Token, IsReadWithItsKeyAlone) {
  const Token token{"ada", 7, {123456789}};
  const std::string text = WriteToken(token, kKey);
  const auto read = ReadToken(text, kKey);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user, "ada");
  EXPECT_EQ(read->generation, 7U);
  EXPECT_EQ(read->expires.ms, 123456789);
  EXPECT_FALSE(ReadToken(text, std::string(32, 'x')));
}

TEST(Token, ChangedOnesAreNone) {
  const std::string text = WriteToken({"ada", 7, {123456789}}, kKey);
  const std::string prefix = text.substr(0, text.find('.') + 1);
  const std::string bytes = *base::Base64Decode(text.substr(prefix.size()));
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = bytes;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      EXPECT_FALSE(ReadToken(prefix + base::Base64Encode(other), kKey));
    }
    EXPECT_FALSE(ReadToken(prefix + base::Base64Encode(bytes.substr(0, i)), kKey));
  }
  for (const std::string& bad : {std::string(), prefix, text.substr(1), text + "A", "x" + text,
                                 std::string(100000, 'A'), prefix + "%%%"}) {
    EXPECT_FALSE(ReadToken(bad, kKey)) << bad.substr(0, 80);
  }
}

TEST(Secret, AreComparedWhole) {
  EXPECT_TRUE(IsSameSecret("abc", "abc"));
  EXPECT_FALSE(IsSameSecret("abc", "abd"));
  EXPECT_FALSE(IsSameSecret("abc", "ab"));
  std::string secret = "abc";
  Forget(&secret);
  EXPECT_TRUE(secret.empty());
}

TEST(LoginLimits, LetsSoManyFailASecondOfOneUserAndAddress) {
  LoginLimits limits(5);
  base::Instant now{base::Seconds(100)};
  int begun = 0;
  for (int i = 0; i < 20; ++i) begun += limits.Begin("ada", "10.0.0.1", now) ? 1 : 0;
  EXPECT_EQ(begun, 5);
  EXPECT_TRUE(limits.Begin("ada", "10.0.0.2", now));
  EXPECT_TRUE(limits.Begin("bob", "10.0.0.1", now));
  now += base::Millis(400);
  EXPECT_TRUE(limits.Begin("ada", "10.0.0.1", now));
  EXPECT_TRUE(limits.Begin("ada", "10.0.0.1", now));
  EXPECT_FALSE(limits.Begin("ada", "10.0.0.1", now));
}

TEST(LoginLimits, RightOnesCostNothing) {
  LoginLimits limits(5);
  const base::Instant now{base::Seconds(100)};
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(limits.Begin("ada", "10.0.0.1", now));
    limits.GiveBack("ada", "10.0.0.1");
  }
}

TEST(LoginLimits, IsBounded) {
  LoginLimits limits(5);
  const base::Instant now{base::Seconds(100)};
  for (size_t i = 0; i < LoginLimits::kEntriesMax + 100; ++i) {
    ASSERT_TRUE(limits.Begin("ada", std::to_string(i), now));
  }
  EXPECT_LE(limits.size(), LoginLimits::kEntriesMax);
}

}  // namespace
}  // namespace lariat::security
