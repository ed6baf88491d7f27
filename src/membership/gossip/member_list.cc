// SPDX-License-Identifier: Apache-2.0
#include "membership/gossip/member_list.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "base/check.h"

namespace lariat::membership {

std::shared_ptr<const MemberList> MemberList::Make(std::vector<GossipMember> members) {
  std::sort(members.begin(), members.end(),
            [](const GossipMember& a, const GossipMember& b) { return a.id < b.id; });
  auto list = std::make_shared<MemberList>();
  std::map<std::string, uint32_t> dcs;
  std::map<std::pair<uint32_t, std::string>, uint32_t> racks;
  for (const GossipMember& member : members) {
    LARIAT_CHECK(list->ids_.empty() || list->ids_.back() != member.id, "a member is listed twice");
    const uint32_t index = list->size();
    const auto [dc, new_dc] = dcs.emplace(member.dc, list->dcs());
    if (new_dc) {
      list->by_dc_.emplace_back();
      list->racks_of_dc_.emplace_back();
    }
    const auto [rack, new_rack] = racks.emplace(std::pair(dc->second, member.rack), list->racks());
    if (new_rack) {
      list->by_rack_.emplace_back();
      list->dc_of_rack_.push_back(dc->second);
      list->racks_of_dc_[dc->second].push_back(rack->second);
    }
    list->ids_.push_back(member.id);
    list->everybody_.push_back(index);
    list->rack_of_.push_back(rack->second);
    list->by_rack_[rack->second].push_back(index);
    list->by_dc_[dc->second].push_back(index);
  }
  list->Index();
  return list;
}

void MemberList::Index() {
  const int bits = std::clamp<int>(std::bit_width(ids_.size()), 1, 20);
  prefix_shift_ = 64 - bits;
  first_by_prefix_.assign((size_t{1} << bits) + 1, 0);
  for (const base::Uuid& id : ids_) ++first_by_prefix_[(id.high >> prefix_shift_) + 1];
  for (size_t i = 1; i < first_by_prefix_.size(); ++i)
    first_by_prefix_[i] += first_by_prefix_[i - 1];
}

std::optional<uint32_t> MemberList::Find(const base::Uuid& id) const {
  const size_t prefix = id.high >> prefix_shift_;
  const auto begin = ids_.begin() + first_by_prefix_[prefix];
  const auto end = ids_.begin() + first_by_prefix_[prefix + 1];
  const auto found = std::lower_bound(begin, end, id);
  if (found == end || *found != id) return std::nullopt;
  return static_cast<uint32_t>(found - ids_.begin());
}

}  // namespace lariat::membership
