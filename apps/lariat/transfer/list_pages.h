// SPDX-License-Identifier: Apache-2.0
// The pages of a list, one after the other, from whichever node answers: a cursor is good on any.
// What is refused for a moment is asked for again. Not thread-safe.
#pragma once

#include <boost/json/array.hpp>
#include <optional>
#include <string>

#include "apps/lariat/session.h"

namespace lariat::cli::transfer {

struct ListOptions {
  std::string bucket = "default";
  std::optional<std::string> prefix, start, end;  // none: all keys, in no order that means anything
  bool values = false;
  int64_t limit = 1000;  // of a page
  std::optional<uint32_t> r;
  std::string consistency;
};

class ListPages {
 public:
  ListPages(net::Client& client, ListOptions options, std::string cursor)
      : client_(client), options_(std::move(options)), cursor_(std::move(cursor)) {}

  // Keys, or pairs if values were asked for; may be empty and have others behind it. Nothing at the
  // end. An error was told, and is the exit code.
  tl::expected<std::optional<boost::json::array>, Exit> Next();
  // Where the next page begins. REQUIRES: there is one.
  const std::string& cursor() const { return cursor_; }
  bool ended() const { return ended_; }

 private:
  net::Request Request() const;

  net::Client& client_;
  ListOptions options_;
  std::string cursor_;
  bool ended_ = false;
};

// The bytes of a key of a page: a text, or {"base64": ...}.
std::string ListedKey(const boost::json::value& key);
// The same of a pair.
std::string KeyOfPair(const boost::json::value& pair);

}  // namespace lariat::cli::transfer
