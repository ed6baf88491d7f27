// SPDX-License-Identifier: Apache-2.0
// Two sorted lists of keys, ours and the partner's, read page by page and merged: what is on one
// side only, or differs, is a suspect. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/messages.h"

namespace lariat::repair {

// Who is asked. Both sides take the same messages.
enum class Side : uint8_t { kOurs = 0, kTheirs = 1 };

class ListCore {
 public:
  ListCore(uint32_t bucket, wire::TokenSpan span) : bucket_(bucket), span_(span) {}

  // The page that this side has to give next, if it is time for it; it is asked for then.
  std::optional<wire::LeafRequest> Ask(Side side);
  // The page asked for. What is found to differ is added to the suspects. An error: the page is
  // not what was asked for, or the side cannot read anything there.
  base::Status OnReply(Side side, wire::LeafReply reply, std::vector<std::string>* suspects);

  bool Finished() const;
  // The side told of records that it cannot read.
  bool damaged() const { return damaged_; }
  uint64_t keys_listed() const { return keys_listed_; }
  double Share() const;      // of the token space, 0 to 1
  double ShareDone() const;  // likewise

 private:
  struct Pages {
    std::vector<wire::KeyDigest> entries;  // of the present page
    size_t at = 0;
    std::string after;
    bool done = false;
    bool asked = false;
    bool Empty() const { return at == entries.size(); }
  };
  base::Status Check(const Pages& pages, const wire::LeafReply& reply) const;
  void Merge(std::vector<std::string>* suspects);
  Pages& PagesOf(Side side) { return pages_[static_cast<size_t>(side)]; }

  uint32_t bucket_;
  wire::TokenSpan span_;
  std::array<Pages, 2> pages_;
  bool damaged_ = false;
  uint64_t keys_listed_ = 0;
};

// Whether the data key belongs to the bucket and the span.
bool IsWithin(std::string_view data_key, uint32_t bucket, const wire::TokenSpan& span);

}  // namespace lariat::repair
