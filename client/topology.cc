// SPDX-License-Identifier: Apache-2.0
#include "client/topology.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cstring>
#include <tuple>

namespace lariat::client {
namespace {

namespace json = boost::json;

uint64_t Rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

uint64_t Finish(uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

constexpr uint64_t kC1 = 0x87c37b91114253d5ULL;
constexpr uint64_t kC2 = 0x4cf5ad432745937fULL;

// The first half of MurmurHash3_x64_128, seed 0. A copy of what src/base has, so that the library
// links nothing of the server; topology_test holds the two together.
uint64_t Murmur3(std::string_view bytes) {
  uint64_t a = 0;
  uint64_t b = 0;
  const size_t whole = bytes.size() / 16 * 16;
  for (size_t at = 0; at < whole; at += 16) {
    uint64_t block[2];
    std::memcpy(block, bytes.data() + at, 16);
    a = (Rotate(a ^ Rotate(block[0] * kC1, 31) * kC2, 27) + b) * 5 + 0x52dce729;
    b = (Rotate(b ^ Rotate(block[1] * kC2, 33) * kC1, 31) + a) * 5 + 0x38495ab5;
  }
  uint64_t rest[2] = {0, 0};
  std::memcpy(rest, bytes.data() + whole, bytes.size() - whole);
  a ^= Rotate(rest[0] * kC1, 31) * kC2 ^ bytes.size();
  b ^= Rotate(rest[1] * kC2, 33) * kC1 ^ bytes.size();
  a += b;
  b += a;
  return Finish(a) + Finish(b);
}

const json::value* FieldOf(const json::value& object, const char* name) {
  return object.is_object() ? object.get_object().if_contains(name) : nullptr;
}

std::string TextOf(const json::value& object, const char* name) {
  const json::value* found = FieldOf(object, name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

bool FlagOf(const json::value& object, const char* name) {
  const json::value* found = FieldOf(object, name);
  return found != nullptr && found->is_bool() && found->get_bool();
}

uint64_t NumberOf(const json::value& object, const char* name) {
  const json::value* found = FieldOf(object, name);
  if (found == nullptr) return 0;
  if (found->is_uint64()) return found->get_uint64();
  return found->is_int64() && found->get_int64() > 0 ? static_cast<uint64_t>(found->get_int64())
                                                     : 0;
}

const json::array* ListOf(const json::value& object, const char* name) {
  const json::value* found = FieldOf(object, name);
  return found == nullptr ? nullptr : found->if_array();
}

json::value Parse(std::string_view page) {
  boost::system::error_code error;
  json::value out = json::parse(page, error);
  return error ? json::value() : out;
}

const std::vector<uint32_t> kNobody;

}  // namespace

uint64_t TokenOf(std::string_view key) {
  const size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Murmur3(key);
}

bool Member::operator==(const Member& other) const {
  return std::tie(name, http, resp, serves) ==
         std::tie(other.name, other.http, other.resp, other.serves);
}

const std::vector<uint32_t>& Topology::Owners(std::string_view key, uint32_t n) const {
  const auto ring = rings.find(n);
  if (ring == rings.end() || ring->second.ranges.empty()) return kNobody;
  const auto& ranges = ring->second.ranges;
  const auto at = std::lower_bound(
      ranges.begin(), ranges.end(), TokenOf(key),
      [](const RingView::Range& range, uint64_t token) { return range.to < token; });
  return at == ranges.end() ? ranges.front().owners : at->owners;  // past the last: round again
}

bool ParseStatus(std::string_view page, Topology& out) {
  const json::value status = Parse(page);
  const json::array* nodes = ListOf(status, "nodes");
  if (nodes == nullptr || nodes->empty()) return false;
  out.epoch = NumberOf(status, "epoch");
  const json::value* operation = FieldOf(status, "operation");
  out.is_changing = operation != nullptr && !operation->is_null();
  for (const json::value& node : *nodes) {
    Member member{TextOf(node, "name"), TextOf(node, "http"), TextOf(node, "resp"), false};
    const std::string state = TextOf(node, "state");
    member.serves = state == "normal" && FlagOf(node, "alive") && !FlagOf(node, "draining");
    if (!member.http.empty()) out.members.push_back(std::move(member));
  }
  return !out.members.empty();
}

bool ParseRing(std::string_view page, const std::vector<Member>& members, RingView& out) {
  const json::value ring = Parse(page);
  const json::array* ranges = ListOf(ring, "ranges");
  if (ranges == nullptr) return false;
  for (const json::value& range : *ranges) {
    RingView::Range& to = out.ranges.emplace_back();
    const std::string end = TextOf(range, "to");
    if (std::from_chars(end.data(), end.data() + end.size(), to.to).ec != std::errc()) return false;
    const json::array* owners = ListOf(range, "owners");
    if (owners == nullptr) return false;
    for (const json::value& owner : *owners) {
      for (uint32_t i = 0; i < members.size(); ++i) {
        if (owner.is_string() && owner.get_string() == members[i].name) to.owners.push_back(i);
      }
    }
  }
  std::sort(out.ranges.begin(), out.ranges.end(),
            [](const RingView::Range& a, const RingView::Range& b) { return a.to < b.to; });
  return true;
}

bool ParseBucket(std::string_view page, BucketView& out) {
  const json::value bucket = Parse(page);
  const auto n = static_cast<uint32_t>(NumberOf(bucket, "n"));
  if (n == 0) return false;
  out = {n, static_cast<uint32_t>(NumberOf(bucket, "r")),
         static_cast<uint32_t>(NumberOf(bucket, "w"))};
  return true;
}

}  // namespace lariat::client
