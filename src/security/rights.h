// SPDX-License-Identifier: Apache-2.0
// A book made ready to be asked for each request: what each user may do, through all of its roles.
// Immutable, so shards may share one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "security/book.h"

namespace lariat::security {

class Rights {
 public:
  explicit Rights(Book book);

  const Book& book() const { return book_; }

  struct OfUser {
    uint64_t generation = 0;
    std::vector<Grant> grants;

    // Denied unless some grant says otherwise. kAdmin: `key` is empty.
    bool Allows(Action action, std::string_view bucket, std::string_view key) const;
    // Whether one grant covers every key in [start, end); an empty end is no end. For what answers
    // with keys that nobody has named.
    bool AllowsRange(Action action, std::string_view bucket, std::string_view start,
                     std::string_view end) const;
    bool AllowsAnythingIn(std::string_view bucket) const;
  };
  // nullptr: there is no such user, or it has another generation: it has to log in anew.
  const OfUser* Find(std::string_view user, uint64_t generation) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  Book book_;
  std::unordered_map<std::string, OfUser, Hash, std::equal_to<>> users_;
};

// The least text above all that begin with `prefix`; empty: there is none.
std::string EndOfPrefix(std::string_view prefix);

}  // namespace lariat::security
