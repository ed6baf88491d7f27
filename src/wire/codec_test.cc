// SPDX-License-Identifier: Apache-2.0
#include "wire/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <utility>

// Walks the members of every message without naming them, so that a new one is in this test as
// soon as it stands in its struct.
namespace lariat::wire {
namespace {

struct AnyMember {
  template <typename T>
  operator T() const;  // NOLINT(google-explicit-constructor): stands for a value of any type
};
template <typename T, size_t... kIndex>
constexpr bool HasAsMany(std::index_sequence<kIndex...>) {
  return requires { T{(static_cast<void>(kIndex), AnyMember{})...}; };
}
constexpr size_t kMembersMax = 14;
template <typename T, size_t kCount = kMembersMax>
constexpr size_t CountOfMembers() {
  static_assert(!HasAsMany<T>(std::make_index_sequence<kMembersMax + 1>()), "add to MembersOf");
  if constexpr (kCount == 0 || HasAsMany<T>(std::make_index_sequence<kCount>())) {
    return kCount;
  } else {
    return CountOfMembers<T, kCount - 1>();
  }
}

#define LARIAT_TIE(count, ...)       \
  if constexpr (kCount == (count)) { \
    auto& [__VA_ARGS__] = value;     \
    return std::tie(__VA_ARGS__);    \
  } else
template <typename T>
auto MembersOf(T& value) {
  constexpr size_t kCount = CountOfMembers<std::remove_const_t<T>>();
  LARIAT_TIE(1, a)
  LARIAT_TIE(2, a, b)
  LARIAT_TIE(3, a, b, c)
  LARIAT_TIE(4, a, b, c, d)
  LARIAT_TIE(5, a, b, c, d, e)
  LARIAT_TIE(6, a, b, c, d, e, f)
  LARIAT_TIE(7, a, b, c, d, e, f, g)
  LARIAT_TIE(8, a, b, c, d, e, f, g, h)
  LARIAT_TIE(9, a, b, c, d, e, f, g, h, i)
  LARIAT_TIE(10, a, b, c, d, e, f, g, h, i, j)
  LARIAT_TIE(11, a, b, c, d, e, f, g, h, i, j, k)
  LARIAT_TIE(12, a, b, c, d, e, f, g, h, i, j, k, l)
  LARIAT_TIE(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  LARIAT_TIE(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
  return std::tuple<>();
}
#undef LARIAT_TIE
template <typename Write>
requires std::is_same_v<std::remove_const_t<Write>, causal::ClientWrite>
auto MembersOf(Write& write) {  // its optionals take anything, which cannot be counted
  return std::tie(write.is_delete, write.value, write.content_type, write.context, write.ttl_s,
                  write.expires_ms, write.client_timestamp_ms, write.if_match,
                  write.if_none_match_any, write.expect, write.expect_absent, write.is_operation);
}

// Sets every member to what it is not by default, and to another number each.
class Filler {
 public:
  void Fill(bool& flag) { flag = !flag; }
  void Fill(uint8_t& durability) { durability = 2; }
  void Fill(causal::Kind& kind) { kind = causal::Kind::kCounter; }  // one that merges
  void Fill(std::string& text) { text = "text" + std::to_string(++last_); }
  void Fill(std::map<std::string, uint64_t>& map) { map = {{"a", ++last_}, {"b", ++last_}}; }
  void Fill(std::shared_ptr<const base::Winner>& winner) {
    winner = std::make_shared<const base::Winner>(
        base::Winner{++last_, "text" + std::to_string(++last_)});
  }
  template <typename T>
  void Fill(std::vector<T>& list) {
    list.resize(2);
    for (T& value : list) Fill(value);
  }
  template <typename T>
  void Fill(std::optional<T>& value) {
    Fill(value.emplace());
  }
  template <typename T>
  void Fill(T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(value == static_cast<T>(1) ? 2 : 1);
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = static_cast<T>(++last_);
    } else {
      std::apply([this](auto&... member) { (Fill(member), ...); }, MembersOf(value));
    }
  }

 private:
  uint64_t last_ = 0;
};

template <typename T>
bool IsSame(const T& a, const T& b);
bool IsSame(const std::shared_ptr<const base::Winner>& a,
            const std::shared_ptr<const base::Winner>& b) {
  return a == b || (a && b && a->version == b->version && a->value == b->value);
}
template <typename T>
bool IsSame(const std::vector<T>& a, const std::vector<T>& b) {
  const auto same = [](const T& x, const T& y) { return IsSame(x, y); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}
template <typename T>
bool IsSame(const T& a, const T& b) {
  if constexpr (requires { a == b; }) {
    return a == b;
  } else {
    const auto same = [](const auto&... of_a) {
      return [&of_a...](const auto&... of_b) { return (IsSame(of_a, of_b) && ...); };
    };
    return std::apply(std::apply(same, MembersOf(a)), MembersOf(b));
  }
}

template <typename Message>
void ComesThroughWhole() {
  Message message;
  Filler().Fill(message);
  const std::string bytes = EncodeEnvelope({1, 2, message});
  const auto decoded = DecodeEnvelope(bytes);
  ASSERT_TRUE(decoded.has_value());
  const auto* came = std::get_if<Message>(&decoded->body);
  ASSERT_NE(came, nullptr);
  EXPECT_TRUE(IsSame(message, *came))
      << typeid(Message).name() << ": a member has no row in messages.def";
}

TEST(Codec, EveryMemberOfEveryMessageComesThrough) {
  []<typename... Message>(std::variant<std::monostate, Message...>*) {
    (ComesThroughWhole<Message>(), ...);
  }(static_cast<Body*>(nullptr));
}

}  // namespace
}  // namespace lariat::wire
