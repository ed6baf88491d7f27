// SPDX-License-Identifier: Apache-2.0
#include "security/book.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/coding.h"

namespace lariat::security {
namespace {

constexpr std::string_view kBookMagic = "LARACC01";
constexpr Action kActionsInOrder[] = {Action::kRead, Action::kWrite, Action::kDelete,
                                      Action::kAdmin};
constexpr size_t kHashBytesMax = 256;
constexpr size_t kKeyBytes = 32;

bool TakeUser(base::ByteReader& r, Book* book) {
  std::string name(r.Sized());
  User user;
  user.password = r.Sized();
  user.generation = r.U64();
  const uint64_t roles = r.Varint();
  for (uint64_t i = 0; i < roles && r.ok(); ++i) {
    if (!user.roles.emplace_hint(user.roles.end(), r.Sized())->empty()) continue;
    return false;
  }
  const bool fits = user.password.size() <= kHashBytesMax && user.generation <= book->version;
  if (!r.ok() || !fits || user.roles.size() != roles || !CheckName(name, "user")) return false;
  return book->users.emplace(std::move(name), std::move(user)).second;
}

bool IsInOrder(const Grant& a, const Grant& b) {
  return std::tie(a.bucket, a.prefix) < std::tie(b.bucket, b.prefix);
}

bool TakeRole(base::ByteReader& r, Book* book) {
  std::string name(r.Sized());
  Role role;
  const uint64_t grants = r.Varint();
  if (!r.ok() || grants > kGrantsMax || !CheckName(name, "role")) return false;
  for (uint64_t i = 0; i < grants; ++i) {
    Grant grant{r.U8(), std::string(r.Sized()), std::string(r.Sized())};
    const bool fits = grant.actions != 0 && grant.actions <= kAllActions && !grant.bucket.empty() &&
                      grant.bucket.size() <= kNameBytesMax &&
                      grant.prefix.size() <= kPrefixBytesMax;
    if (!r.ok() || !fits) return false;
    if (!role.grants.empty() && !IsInOrder(role.grants.back(), grant)) return false;
    role.grants.push_back(std::move(grant));
  }
  return book->roles.emplace(std::move(name), std::move(role)).second;
}

bool RolesExist(const Book& book) {
  return std::ranges::all_of(book.users, [&book](const auto& user) {
    return std::ranges::all_of(user.second.roles,
                               [&book](const auto& role) { return book.roles.contains(role); });
  });
}

}  // namespace

std::string_view ActionText(Action action) {
  switch (action) {
    case Action::kRead:
      return "read";
    case Action::kWrite:
      return "write";
    case Action::kDelete:
      return "delete";
    case Action::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Action> ParseAction(std::string_view text) {
  for (const Action action : kActionsInOrder) {
    if (ActionText(action) == text) return action;
  }
  return std::nullopt;
}

std::vector<std::string_view> ActionNames(uint8_t actions) {
  std::vector<std::string_view> names;
  for (const Action action : kActionsInOrder) {
    if ((actions & static_cast<uint8_t>(action)) != 0) names.push_back(ActionText(action));
  }
  return names;
}

base::Status CheckName(std::string_view name, std::string_view what) {
  const bool made_of = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-@").find(c) != std::string_view::npos;
  });
  if (made_of && !name.empty() && name.size() <= kNameBytesMax) return {};
  return base::Fail(base::Code::kInvalidArgument, "the name of a " + std::string(what) +
                                                      " has 1 to 64 letters, digits and '._-@'");
}

std::string EncodeBook(const Book& book) {
  std::string bytes(kBookMagic);
  base::ByteWriter w(&bytes);
  w.U64(book.version);
  w.Sized(book.key);
  w.Varint(book.users.size());
  for (const auto& [name, user] : book.users) {
    w.Sized(name);
    w.Sized(user.password);
    w.U64(user.generation);
    w.Varint(user.roles.size());
    for (const std::string& role : user.roles) w.Sized(role);
  }
  w.Varint(book.roles.size());
  for (const auto& [name, role] : book.roles) {
    w.Sized(name);
    w.Varint(role.grants.size());
    for (const Grant& grant : role.grants) {
      w.U8(grant.actions);
      w.Sized(grant.bucket);
      w.Sized(grant.prefix);
    }
  }
  return bytes;
}

std::optional<Book> DecodeBook(std::string_view bytes) {
  base::ByteReader r(bytes);
  if (bytes.size() > kBookBytesMax || r.Raw(kBookMagic.size()) != kBookMagic) return std::nullopt;
  Book book;
  book.version = r.U64();
  book.key = r.Sized();
  const uint64_t users = r.Varint();
  if (!r.ok() || users > kUsersMax || book.key.size() != kKeyBytes) return std::nullopt;
  for (uint64_t i = 0; i < users; ++i) {
    if (!TakeUser(r, &book)) return std::nullopt;
  }
  const uint64_t roles = r.Varint();
  if (!r.ok() || roles > kRolesMax) return std::nullopt;
  for (uint64_t i = 0; i < roles; ++i) {
    if (!TakeRole(r, &book)) return std::nullopt;
  }
  if (!r.AtEnd() || !RolesExist(book)) return std::nullopt;
  // The order of names, which the maps have lost.
  return EncodeBook(book) == bytes ? std::optional(std::move(book)) : std::nullopt;
}

}  // namespace lariat::security
