// SPDX-License-Identifier: Apache-2.0
// What clients did to each key and what they were told, as recorded by the traffic and judged by
// the checkers. Every write of a key has a number, its token; a put's value is the token in words,
// so whoever sees a value knows the write. Values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "causal/hlc.h"

namespace lariat::sim {

enum class Outcome : uint8_t { kPending, kDone, kNotDone, kUnknown };
std::string_view OutcomeName(Outcome outcome);

// LWW: the stamp and the node, as the context given out says.
struct Stamp {
  causal::HlcStamp stamp;
  uint64_t node = 0;
  auto operator<=>(const Stamp&) const = default;
};

struct Write {
  bool is_delete = false;
  // The tokens that the writer had been shown with the context it sent. Ignored if the write covers
  // what its coordinator found (a delete without context, If-Match: *).
  std::vector<int> seen;
  bool covers_what_it_found = false;
  bool idempotent = false;
  int attempts = 0;
  base::Instant sent{};     // by the client, the first attempt
  base::Instant started{};  // by the coordinator
  base::Instant ended{};    // the last word of the coordinator, or when the client gave up
  base::Instant done{};     // the first acknowledgement; only if kDone
  Outcome outcome = Outcome::kPending;
  std::optional<Stamp> stamp;  // lww and acknowledged
  size_t coordinator = 0;      // machine that was asked
};

struct Read {
  std::vector<int> shown;  // tokens
  base::Instant started{};
  base::Instant ended{};
  std::optional<Stamp> stamp;  // lww
  bool all_replicas = false;   // of the end, at r = n
};

struct KeyHistory {
  std::string key;
  std::vector<Write> writes;  // by token
  std::vector<Read> reads;    // those that were answered, in the order of their answers
  // From here on a replica of the key may have forgotten acknowledged writes (damaged disk): what
  // holds for reads of a quorum holds no more, what holds for all replicas does.
  std::optional<base::Instant> damaged;
};

struct History {
  std::map<std::string, KeyHistory> keys;
  KeyHistory& Of(const std::string& key) {
    KeyHistory& history = keys[key];
    history.key = key;
    return history;
  }
};

std::string TokenText(const std::string& key, int token);
// With as many bytes behind it that mean nothing.
std::string PaddedBy(size_t bytes, std::string text);
std::string_view WithoutPadding(std::string_view text);
// The token of a value; nothing if it is not a value of this key.
std::optional<int> TokenOfText(const std::string& key, std::string_view text);

}  // namespace lariat::sim
