// SPDX-License-Identifier: Apache-2.0
#include "topology/join_list.h"

#include <algorithm>
#include <utility>

namespace lariat::topology {

using Place = membership::FormationCore::Place;

namespace {

constexpr base::Duration kLookAgain = base::Millis(500);

bool IsV6(const std::string& numeric) { return numeric.starts_with('['); }

}  // namespace

JoinList::JoinList(peers::Home& home, const std::vector<std::string>& addresses, std::string own)
    : home_(home), own_(std::move(own)) {
  const std::set<std::string> distinct(addresses.begin(), addresses.end());
  for (const std::string& address : distinct) entries_.emplace_back().address = address;
}

std::vector<std::string> JoinList::Addresses() const {
  std::vector<std::string> addresses;
  for (const Entry& entry : entries_) addresses.push_back(entry.address);
  return addresses;
}

void JoinList::Seek(const std::set<std::string>& leave_out) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (leave_out.contains(entry.address)) {
      for (const std::string& numeric : entry.stands_for) home_.peers().CloseAddress(numeric);
      continue;
    }
    LookUp(i);
    Connect(entry);
  }
}

void JoinList::Rest() {
  for (const Entry& entry : entries_) {
    for (const std::string& numeric : entry.stands_for) home_.peers().CloseAddress(numeric);
  }
}

void JoinList::LookUp(size_t i) {
  Entry& entry = entries_[i];
  const base::Instant now = home_.env().clock.Now();
  const bool fresh = entry.looked != base::Instant::min() && now - entry.looked < kLookAgain;
  if (entry.looking || fresh) return;
  entry.looking = true;
  entry.looked = now;
  home_.peers().Resolve(entry.address, [this, i](base::Result<std::vector<std::string>> found) {
    OnFound(&entries_[i], std::move(found));
  });
}

void JoinList::OnFound(Entry* entry, base::Result<std::vector<std::string>> found) {
  entry->looking = false;
  entry->trouble = found ? "" : found.error().message;
  if (!found) return;  // who was there may still be
  const std::set<std::string> now(found->begin(), found->end());
  for (const std::string& numeric : entry->stands_for) {
    if (!now.contains(numeric)) home_.peers().CloseAddress(numeric);
  }
  entry->stands_for.assign(now.begin(), now.end());
}

void JoinList::Connect(const Entry& entry) {
  for (const std::string& numeric : entry.stands_for) {
    if (self_.contains(numeric)) continue;
    home_.peers().PeerAt(numeric);
    if (home_.peers().MetAt(numeric).node != home_.self().id) continue;
    self_.insert(numeric);
    home_.peers().CloseAddress(numeric);
  }
}

Place JoinList::PlaceOf(const std::string& address) const {
  for (const Entry& entry : entries_) {
    if (entry.address == address) return PlaceOf(entry);
  }
  return {};
}

Place JoinList::PlaceOf(const Entry& entry) const {
  const base::Uuid self = home_.self().id;
  Place place;
  bool seen[2] = {false, false};
  bool all[2] = {true, true};  // of an IP family
  for (const std::string& numeric : entry.stands_for) {
    const size_t family = IsV6(numeric) ? 1 : 0;
    const std::optional<base::Uuid> node =
        self_.contains(numeric) ? std::optional(self) : home_.peers().MetAt(numeric).node;
    if (node) place.nodes.insert(*node);
    seen[family] = true;
    all[family] = all[family] && node.has_value();
  }
  place.complete = (seen[0] && all[0]) || (seen[1] && all[1]);
  // Some networks do not let a node reach itself from outside. Who else would be meant?
  if (entry.address == own_ && place.nodes.empty() && !TroubleOf(entry).empty()) {
    place = {{self}, true};
  }
  return place;
}

std::vector<std::string> JoinList::Others() const {
  std::set<std::string> others;
  for (const Entry& entry : entries_) {
    for (const std::string& numeric : entry.stands_for) {
      if (home_.peers().MetAt(numeric).node) others.insert(numeric);
    }
  }
  return {others.begin(), others.end()};
}

bool JoinList::MayNameOthers() const {
  const std::set<base::Uuid> alone{home_.self().id};
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    const Place place = PlaceOf(entry);
    return !place.complete || place.nodes != alone;
  });
}

std::string JoinList::TroubleOf(const Entry& entry) const {
  if (!entry.trouble.empty()) return entry.trouble;
  for (const std::string& numeric : entry.stands_for) {
    if (self_.contains(numeric)) continue;
    if (std::string why = home_.peers().MetAt(numeric).trouble; !why.empty()) return why;
  }
  return "";
}

std::string JoinList::Troubles() const {
  std::string text;
  for (const Entry& entry : entries_) {
    const std::string why = PlaceOf(entry).complete ? "" : TroubleOf(entry);
    if (why.empty()) continue;
    text += (text.empty() ? "" : ", ") + entry.address + ": " + why;
  }
  return text;
}

}  // namespace lariat::topology
