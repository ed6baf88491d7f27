// SPDX-License-Identifier: Apache-2.0
// What several replicas say of one stretch of keys, brought together. Pure.
//
// Each gives the first part of what it has there, and says up to where it looked. Only what all of
// them looked at can be judged: behind the end of the shortest part a key that another one lacks
// may be in the next page of the first.
//
//   A: a b d, looked at what stands before e      a, b: agreed
//   B: a b c f, looked at all                     c, d: one of them lacks it, disputed
//   go on at e; f is left for the next page, in which A may have an e or an f of its own
//
// Agreed keys without a value are dropped. A disputed one is read as a Get reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "wire/messages.h"

namespace lariat::coordinator {

struct JudgedKey {
  std::string position;
  bool agreed = false;
  std::string object;  // of an agreed one, if any replica was asked for it
};
struct MergedPages {
  std::vector<JudgedKey> keys;  // in order
  std::string next;             // go on there; empty: the stretch is done
  uint64_t examined = 0;
};
// `with_live`: some replica has told what is live (kLive), and what is not is dropped; otherwise
// agreed keys come with their objects. At most `keys_max` keys, and objects of `bytes_max` bytes,
// but one key always fits. REQUIRES: pages, all ok, keys_max > 0.
struct MergeLimits {
  size_t keys_max = 0;
  size_t bytes_max = 0;
};
MergedPages MergePages(std::vector<wire::ScanReply> pages, bool with_live, MergeLimits limits);

}  // namespace lariat::coordinator
