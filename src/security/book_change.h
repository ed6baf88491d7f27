// SPDX-License-Identifier: Apache-2.0
// Changes of a book: each gives the book after it, or says why there is none.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "security/book.h"

namespace lariat::security {

// Whom lariatd makes from security.bootstrap_password_file, and the role it gives.
inline constexpr std::string_view kFirstUser = "admin";
inline constexpr std::string_view kFirstRole = "admin";

struct BookChange {
  enum class Verb : uint8_t { kPutUser, kDropUser, kPutRole, kDropRole, kGrant, kRevoke };
  Verb verb = Verb::kPutUser;
  std::string name;                                 // of the user or the role
  std::optional<std::string> password = {};         // kPutUser: hashed; nothing: as it was
  std::optional<std::set<std::string>> roles = {};  // kPutUser: nothing: as they were
  Grant grant = {};                                 // kGrant, kRevoke
};
std::string_view VerbText(BookChange::Verb verb);  // for the audit: "put_user", ...

// nullopt: nothing was to be changed. kNotFound: there is no such user, role or grant. kConflict: a
// role that somebody has, or nobody would be left who may administer the cluster.
base::Result<std::optional<Book>> Apply(const Book& book, const BookChange& change);

// The first book of a cluster. `key`: 32 random bytes; `password`: hashed.
Book FirstBook(std::string key, std::string password);

}  // namespace lariat::security
