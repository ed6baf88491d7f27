// SPDX-License-Identifier: Apache-2.0
// The members of a cluster as gossip sees them: identities in order, each with its rack and
// datacenter as numbers. Immutable; the cores that gossip with it are its co-owners (in a node one,
// in a simulation thousands).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/uuid.h"

namespace lariat::membership {

struct GossipMember {
  base::Uuid id;
  std::string dc, rack;  // racks of the same name in two datacenters are two racks
};

class MemberList {
 public:
  // In any order. REQUIRES: distinct ids.
  static std::shared_ptr<const MemberList> Make(std::vector<GossipMember> members);

  uint32_t size() const { return static_cast<uint32_t>(ids_.size()); }
  const base::Uuid& Id(uint32_t index) const { return ids_[index]; }
  std::optional<uint32_t> Find(const base::Uuid& id) const;
  uint32_t RackOf(uint32_t index) const { return rack_of_[index]; }
  uint32_t DcOf(uint32_t index) const { return dc_of_rack_[rack_of_[index]]; }
  uint32_t racks() const { return static_cast<uint32_t>(by_rack_.size()); }
  uint32_t dcs() const { return static_cast<uint32_t>(by_dc_.size()); }
  // Members in the order of their ids.
  std::span<const uint32_t> Everybody() const { return everybody_; }
  std::span<const uint32_t> Rack(uint32_t rack) const { return by_rack_[rack]; }
  std::span<const uint32_t> Dc(uint32_t dc) const { return by_dc_[dc]; }
  std::span<const uint32_t> RacksOfDc(uint32_t dc) const { return racks_of_dc_[dc]; }

 private:
  void Index();

  std::vector<base::Uuid> ids_;  // sorted
  // Where ids begin that start with these bits. Ids are random, so a step finds its place.
  std::vector<uint32_t> first_by_prefix_;
  int prefix_shift_ = 63;
  std::vector<uint32_t> everybody_;  // 0, 1, ... size-1
  std::vector<uint32_t> rack_of_;
  std::vector<uint32_t> dc_of_rack_;
  std::vector<std::vector<uint32_t>> by_rack_, by_dc_, racks_of_dc_;
};

}  // namespace lariat::membership
