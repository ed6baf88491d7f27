// SPDX-License-Identifier: Apache-2.0
#include "repair/exchange/list_core.h"

#include <algorithm>
#include <utility>

#include "repair/exchange/ranges.h"
#include "repair/stream.h"

namespace lariat::repair {

using base::Code;
using base::Fail;

bool IsWithin(std::string_view data_key, uint32_t bucket, const wire::TokenSpan& span) {
  const auto key = ParseRecordKey(data_key);
  const ring::TokenRange range = {{span.from}, {span.to}};
  return key && key->bucket == bucket && range.Contains(key->token);
}

std::optional<wire::LeafRequest> ListCore::Ask(Side side) {
  Pages& pages = PagesOf(side);
  if (pages.asked || pages.done || !pages.Empty()) return std::nullopt;
  pages.asked = true;
  return wire::LeafRequest{bucket_, span_, pages.after};
}

base::Status ListCore::OnReply(Side side, wire::LeafReply reply,
                               std::vector<std::string>* suspects) {
  Pages& pages = PagesOf(side);
  pages.asked = false;
  // A page with damaged records says so and carries the others.
  const bool partly = reply.outcome.code == Code::kCorruption && !reply.last_key.empty();
  if (!reply.outcome.ok() && !partly) return Fail(reply.outcome.ToError());
  if (auto status = Check(pages, reply); !status) return status;
  damaged_ = damaged_ || partly;
  keys_listed_ += reply.entries.size();
  pages.entries = std::move(reply.entries);
  pages.at = 0;
  pages.done = reply.done;
  pages.after = std::max(pages.after, reply.last_key);
  Merge(suspects);
  return {};
}

base::Status ListCore::Check(const Pages& pages, const wire::LeafReply& reply) const {
  const std::string* before = &pages.after;
  for (const wire::KeyDigest& entry : reply.entries) {
    if (!IsWithin(entry.key, bucket_, span_)) {
      return Fail(Code::kInternal, "a list with a key from outside its range");
    }
    if (entry.key <= *before) return Fail(Code::kInternal, "a list that is out of order");
    before = &entry.key;
  }
  if (reply.done) return {};
  if (reply.last_key <= pages.after || reply.last_key < *before) {
    return Fail(Code::kInternal, "a list that gets no further");
  }
  return {};
}

void ListCore::Merge(std::vector<std::string>* suspects) {
  Pages& ours = PagesOf(Side::kOurs);
  Pages& theirs = PagesOf(Side::kTheirs);
  // Of a side that has more to give nothing is known beyond its page.
  while ((!ours.Empty() || ours.done) && (!theirs.Empty() || theirs.done)) {
    if (ours.Empty() && theirs.Empty()) return;
    wire::KeyDigest* mine = ours.Empty() ? nullptr : &ours.entries[ours.at];
    wire::KeyDigest* other = theirs.Empty() ? nullptr : &theirs.entries[theirs.at];
    if (other == nullptr || (mine != nullptr && mine->key < other->key)) {
      suspects->push_back(std::move(mine->key));
      ++ours.at;
    } else if (mine == nullptr || other->key < mine->key) {
      suspects->push_back(std::move(other->key));
      ++theirs.at;
    } else {
      if (mine->digest != other->digest) suspects->push_back(std::move(mine->key));
      ++ours.at;
      ++theirs.at;
    }
  }
}

bool ListCore::Finished() const {
  return std::all_of(pages_.begin(), pages_.end(),
                     [](const Pages& pages) { return pages.done && pages.Empty(); });
}

double ListCore::Share() const { return ShareOf(span_); }

double ListCore::ShareDone() const {
  if (Finished()) return Share();
  // As far as both have been read.
  const std::string& after = std::min(pages_[0].after, pages_[1].after);
  const auto key = ParseRecordKey(after);
  if (!key) return 0;
  const ring::TokenRange range = {{span_.from}, {span_.to}};
  return ShareRead(range, key->token) * range.Share();
}

}  // namespace lariat::repair
