// SPDX-License-Identifier: Apache-2.0
// Users, roles and grants, as the members of a cluster have agreed on them. A value. The members
// decide about it together with the topology document, in which it travels as bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lariat::security {

// Bits of Grant::actions. Stored; never reuse one.
enum class Action : uint8_t { kRead = 1, kWrite = 2, kDelete = 4, kAdmin = 8 };
inline constexpr uint8_t kAllActions = 15;
std::string_view ActionText(Action action);  // "read" | "write" | "delete" | "admin"
std::optional<Action> ParseAction(std::string_view text);
std::vector<std::string_view> ActionNames(uint8_t actions);

inline constexpr std::string_view kAllBuckets = "*";  // no bucket has that name

struct Grant {
  uint8_t actions = 0;
  std::string bucket;  // or kAllBuckets
  std::string prefix;  // of keys; empty: all of them
  bool operator==(const Grant&) const = default;
};

struct User {
  std::string password;     // a PHC text of Argon2id; empty: none, only a certificate
  uint64_t generation = 0;  // the book's version when the password was set: logins end with it
  std::set<std::string> roles;
  bool operator==(const User&) const = default;
};

struct Role {
  std::vector<Grant> grants;  // sorted by bucket and prefix, which are different in each
  bool operator==(const Role&) const = default;
};

inline constexpr size_t kUsersMax = 1000;
inline constexpr size_t kRolesMax = 1000;
inline constexpr size_t kGrantsMax = 1000;  // of a role
inline constexpr size_t kNameBytesMax = 64;
inline constexpr size_t kPrefixBytesMax = 256;
inline constexpr size_t kBookBytesMax = 256 << 10;

struct Book {
  uint64_t version = 0;  // grows by one with each change
  std::string key;       // what tokens are signed with; never shown
  std::map<std::string, User> users;
  std::map<std::string, Role> roles;
  bool operator==(const Book&) const = default;
};

// 1 to 64 of "a-z A-Z 0-9 . _ - @"; `what` is for the message.
base::Status CheckName(std::string_view name, std::string_view what);

// Canonical. docs/formats/access.md
std::string EncodeBook(const Book& book);
// Checks every bound and rule.
std::optional<Book> DecodeBook(std::string_view bytes);

}  // namespace lariat::security
