// SPDX-License-Identifier: Apache-2.0
// Members and documents for the tests of this folder.
#pragma once

#include <string>
#include <vector>

#include "base/prng.h"
#include "membership/topology.h"

namespace lariat::membership {

inline base::Uuid IdOf(uint64_t number) { return {number * 0x1000, number}; }

inline Member MakeMember(uint64_t number, std::string peer = "") {
  Member member;
  member.id = IdOf(number);
  member.name = "node" + std::to_string(number);
  member.peer = peer.empty() ? "127.0.0.1:" + std::to_string(7000 + number) : std::move(peer);
  member.http = "127.0.0.1:" + std::to_string(8000 + number);
  member.resp = "127.0.0.1:" + std::to_string(9000 + number);
  member.dc = "dc1";
  member.rack = "rack" + std::to_string(number % 3);
  return member;
}

inline BucketProperties MakeBucket(const std::string& name, uint64_t version = 1,
                                   uint64_t editor = 1) {
  BucketProperties bucket;
  bucket.name = name;
  bucket.id = BucketIdOf(name);
  bucket.version = version;
  bucket.editor = editor;
  // One (version, editor) is one definition.
  bucket.ttl_s = version * 100 + editor;
  return bucket;
}

// A document with members 1..count; tokens differ for every member.
inline Topology MakeDocument(uint64_t count, uint64_t epoch = 1, bool sealed = false) {
  Topology topology;
  topology.cluster = {77, 88};
  topology.epoch = epoch;
  topology.founder = IdOf(1);
  topology.sealed = sealed;
  for (uint64_t i = 1; i <= count; ++i) {
    Member member = MakeMember(i);
    for (uint64_t t = 0; t < 4; ++t) member.tokens.push_back({t * 1000000 + i});
    topology.members.push_back(std::move(member));
  }
  BucketProperties bucket = MakeBucket("default");
  topology.buckets.emplace(bucket.name, bucket);
  return topology;
}

}  // namespace lariat::membership
