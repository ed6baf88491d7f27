// SPDX-License-Identifier: Apache-2.0
#include "security/book_change.h"

#include <algorithm>
#include <utility>

namespace lariat::security {

using base::Code;
using base::Fail;

namespace {

bool HasRoleOf(const Book& book, const std::string& role) {
  return std::ranges::any_of(
      book.users, [&role](const auto& user) { return user.second.roles.contains(role); });
}

bool Administers(const Role& role) {
  return std::ranges::any_of(role.grants, [](const Grant& grant) {
    return (grant.actions & static_cast<uint8_t>(Action::kAdmin)) != 0 &&
           grant.bucket == kAllBuckets && grant.prefix.empty();
  });
}

bool HasAdministrator(const Book& book) {
  return std::ranges::any_of(book.roles, [&book](const auto& role) {
    return Administers(role.second) && HasRoleOf(book, role.first);
  });
}

base::Status PutUser(Book* book, const BookChange& change) {
  if (auto status = CheckName(change.name, "user"); !status) return status;
  if (!book->users.contains(change.name)) {
    if (book->users.size() >= kUsersMax) return Fail(Code::kTooLarge, "a cluster has 1000 users");
    book->users[change.name].generation = book->version;
  }
  User& user = book->users[change.name];
  if (change.password) {
    user.password = *change.password;
    user.generation = book->version;
  }
  if (change.roles) user.roles = *change.roles;
  for (const std::string& role : user.roles) {
    if (!book->roles.contains(role)) return Fail(Code::kNotFound, "no role '" + role + "'");
  }
  return {};
}

base::Status DropUser(Book* book, const std::string& name) {
  if (book->users.erase(name) == 0) return Fail(Code::kNotFound, "no user '" + name + "'");
  return {};
}

base::Status PutRole(Book* book, const std::string& name) {
  if (auto status = CheckName(name, "role"); !status) return status;
  if (book->roles.size() >= kRolesMax) return Fail(Code::kTooLarge, "a cluster has 1000 roles");
  book->roles[name];
  return {};
}

base::Status DropRole(Book* book, const std::string& name) {
  if (HasRoleOf(*book, name)) {
    return Fail(Code::kConflict, "role '" + name + "' is still given to a user");
  }
  if (book->roles.erase(name) == 0) return Fail(Code::kNotFound, "no role '" + name + "'");
  return {};
}

base::Result<Role*> FindRole(Book* book, const std::string& name) {
  const auto role = book->roles.find(name);
  if (role == book->roles.end()) return Fail(Code::kNotFound, "no role '" + name + "'");
  return &role->second;
}

base::Status CheckGrant(const Grant& grant) {
  if (grant.actions == 0 || grant.actions > kAllActions) {
    return Fail(Code::kInvalidArgument, "a grant has one action at least");
  }
  if (grant.bucket != kAllBuckets) {
    const bool bad =
        !CheckName(grant.bucket, "bucket") || grant.bucket.find('@') != grant.bucket.npos;
    if (bad) return Fail(Code::kInvalidArgument, "a grant is for a bucket's name, or '*' for all");
  }
  if (grant.prefix.size() > kPrefixBytesMax) {
    return Fail(Code::kInvalidArgument, "a prefix has at most 256 bytes, as a key");
  }
  const bool admin = (grant.actions & static_cast<uint8_t>(Action::kAdmin)) != 0;
  if (admin && !grant.prefix.empty()) {
    return Fail(Code::kInvalidArgument, "'admin' is for a whole bucket: it takes no prefix");
  }
  return {};
}

std::vector<Grant>::iterator PlaceOf(Role* role, const Grant& grant) {
  return std::ranges::lower_bound(role->grants, std::tie(grant.bucket, grant.prefix), {},
                                  [](const Grant& g) { return std::tie(g.bucket, g.prefix); });
}

bool IsSamePlace(const Role& role, std::vector<Grant>::iterator at, const Grant& grant) {
  return at != role.grants.end() && at->bucket == grant.bucket && at->prefix == grant.prefix;
}

base::Status AddGrant(Book* book, const BookChange& change) {
  if (auto status = CheckGrant(change.grant); !status) return status;
  auto role = FindRole(book, change.name);
  if (!role) return Fail(role.error());
  const auto at = PlaceOf(*role, change.grant);
  if (IsSamePlace(**role, at, change.grant)) {
    at->actions |= change.grant.actions;
    return {};
  }
  if ((*role)->grants.size() >= kGrantsMax) return Fail(Code::kTooLarge, "a role has 1000 grants");
  (*role)->grants.insert(at, change.grant);
  return {};
}

base::Status Revoke(Book* book, const BookChange& change) {
  auto role = FindRole(book, change.name);
  if (!role) return Fail(role.error());
  const auto at = PlaceOf(*role, change.grant);
  if (!IsSamePlace(**role, at, change.grant) || (at->actions & change.grant.actions) == 0) {
    return Fail(Code::kNotFound, "role '" + change.name + "' has no such grant");
  }
  at->actions &= static_cast<uint8_t>(~change.grant.actions);
  if (at->actions == 0) (*role)->grants.erase(at);
  return {};
}

base::Status Make(Book* next, const BookChange& change) {
  switch (change.verb) {
    case BookChange::Verb::kPutUser:
      return PutUser(next, change);
    case BookChange::Verb::kDropUser:
      return DropUser(next, change.name);
    case BookChange::Verb::kPutRole:
      return PutRole(next, change.name);
    case BookChange::Verb::kDropRole:
      return DropRole(next, change.name);
    case BookChange::Verb::kGrant:
      return AddGrant(next, change);
    case BookChange::Verb::kRevoke:
      return Revoke(next, change);
  }
  return Fail(Code::kInternal, "an unknown change of the users");
}

}  // namespace

std::string_view VerbText(BookChange::Verb verb) {
  switch (verb) {
    case BookChange::Verb::kPutUser:
      return "put_user";
    case BookChange::Verb::kDropUser:
      return "delete_user";
    case BookChange::Verb::kPutRole:
      return "put_role";
    case BookChange::Verb::kDropRole:
      return "delete_role";
    case BookChange::Verb::kGrant:
      return "grant";
    case BookChange::Verb::kRevoke:
      return "revoke";
  }
  return "";
}

base::Result<std::optional<Book>> Apply(const Book& book, const BookChange& change) {
  Book next = book;
  ++next.version;
  if (auto status = Make(&next, change); !status) return Fail(status.error());
  if (HasAdministrator(book) && !HasAdministrator(next)) {
    return Fail(Code::kConflict,
                "nobody would be left who may administer the cluster (admin on all buckets)");
  }
  if (EncodeBook(next).size() > kBookBytesMax) {
    return Fail(Code::kTooLarge, "users, roles and grants have more than 256 KiB together");
  }
  --next.version;
  if (next == book) return std::optional<Book>();
  ++next.version;
  return std::optional(std::move(next));
}

Book FirstBook(std::string key, std::string password) {
  Book book;
  book.version = 1;
  book.key = std::move(key);
  book.roles[std::string(kFirstRole)].grants = {{kAllActions, std::string(kAllBuckets), ""}};
  book.users[std::string(kFirstUser)] = {std::move(password), 1, {std::string(kFirstRole)}};
  return book;
}

}  // namespace lariat::security
