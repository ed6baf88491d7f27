// SPDX-License-Identifier: Apache-2.0
// The cluster as a node tells it: members, and who holds which key. A value; immutable once built.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::client {

// Murmur3 of the key's partition key: the text between the first '{' and the next '}' if that is
// not empty, otherwise the whole key. The same number as src/ring has.
uint64_t TokenOf(std::string_view key);

struct Member {
  std::string name;
  std::string http, resp;  // addresses "host:port"
  bool serves = false;     // a normal member, thought to be alive, not draining
  bool operator==(const Member& other) const;
};

// Who holds which range, for one number of replicas.
struct RingView {
  struct Range {
    uint64_t to = 0;               // inclusive; it begins behind the range before
    std::vector<uint32_t> owners;  // indexes of members, in order of preference
  };
  std::vector<Range> ranges;  // by `to`
};

struct Topology {
  uint64_t epoch = 0;
  bool is_changing = false;
  std::vector<Member> members;
  std::map<uint32_t, RingView> rings;  // by n

  // In order of preference; empty if nothing is known.
  const std::vector<uint32_t>& Owners(std::string_view key, uint32_t n) const;
};

// Of GET /v1/cluster/status, without rings. False if the page is none.
bool ParseStatus(std::string_view page, Topology& out);
// Of GET /v1/cluster/ring?n=. Owners that are no members are left out.
bool ParseRing(std::string_view page, const std::vector<Member>& members, RingView& out);

// What a bucket's page says of its quorums.
struct BucketView {
  uint32_t n = 3, r = 2, w = 2;
};
bool ParseBucket(std::string_view page, BucketView& out);

}  // namespace lariat::client
