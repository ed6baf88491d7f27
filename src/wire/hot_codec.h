// SPDX-License-Identifier: Apache-2.0
// The messages of each read and write, written and read by hand: the bytes are those of
// messages.proto, without the library's objects in between. What is not one of these messages, or
// is one in another form than this writes, is left to the library, so that nothing is valid here
// that is not valid there. codec.h uses it; tests and the fuzz harness compare the two ways.
//
//   id 9 bytes | epoch, unless 0 | tag of the body, its length | fields that are not zero, in order
//
// Bytes in, bytes out; thread-safe (no state).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/messages.h"

namespace lariat::wire {

// False, and nothing is appended: it is for the library.
bool AppendHot(const Envelope& envelope, std::string* out);
std::optional<Envelope> DecodeHot(std::string_view bytes);

}  // namespace lariat::wire
