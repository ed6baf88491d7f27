// SPDX-License-Identifier: Apache-2.0
// What a client has seen of one key, given out with every reply and sent back with a write. For the
// client it is opaque text: base64 of version, kind, content and a checksum that also covers bucket
// and key, so a context that was cut, altered, or belongs to another key is refused (M9).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "causal/dot_set.h"
#include "causal/hlc.h"

namespace lariat::causal {

struct Context {
  DotSet seen;         // kinds whose writes are events of actors
  HlcStamp lww_stamp;  // kinds ordered by clock: stamp and node of what was shown; 0 = nothing
  uint64_t lww_node = 0;
  bool operator==(const Context&) const = default;
  bool Empty() const { return seen.Empty() && lww_stamp.packed == 0; }
  RegisterId Id() const { return {lww_stamp, lww_node}; }
  bool Covers(const Context& other) const { return seen.Covers(other.seen) && other.Id() <= Id(); }
};

// A set that is larger than the limits below is trimmed (DotSet::Trim), so that every text given
// out is accepted back. REQUIRES: not both kinds of context at once.
std::string EncodeContext(const Context& context, std::string_view bucket, std::string_view key);
// kInvalidArgument with a message for people if the text is not a context given out for this
// bucket and key. Bounded: at most kContextBytesMax of text, kContextActorsMax actors.
base::Result<Context> DecodeContext(std::string_view text, std::string_view bucket,
                                    std::string_view key);

// The version of a key of a serial bucket that a condition names: a number as text, or a context.
// kInvalidArgument: neither.
base::Result<uint64_t> SerialVersionOf(std::string_view text, std::string_view bucket,
                                       std::string_view key);

// Whether a text names a write by its stamp; needs no bucket and key. Two writes with one stamp of
// a client are told apart by their values alone, so such a context does not name a content; any
// other does.
bool NamesStamp(std::string_view context);

inline constexpr size_t kContextBytesMax = 64 * 1024;
inline constexpr size_t kContextActorsMax = 1024;
inline constexpr size_t kContextCloudMax = 256;

}  // namespace lariat::causal
