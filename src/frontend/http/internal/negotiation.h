// SPDX-License-Identifier: Apache-2.0
// In which form a value is shown, and whether the client has it already: Accept, entity tags,
// If-None-Match.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/kv_service.h"

namespace lariat::frontend::http {

enum class Form : uint8_t {
  kRaw,
  kJson,
  kNone,  // the client refuses all there are
};

// What an Accept header thinks of a media type.
struct Liking {
  int quality = -1;     // in thousandths; -1: it says nothing about this type
  int specificity = 0;  // 3 the type itself, 2 "text/*", 1 "*/*"
};
Liking LikingOf(std::string_view accept, std::string_view type);
// The header names application/json and does not refuse it.
bool NamesJson(std::string_view accept);

// JSON if it is named and liked as well as the raw form, whose type is `raw_type`. A header that
// says nothing about either form gets the raw one, as if there were no header.
Form ChooseForm(std::string_view accept, std::string_view raw_type);

// Changes whenever what is shown does. The context in quotes for a value's bytes; otherwise
// something stands between context and closing quote. Never weak, so that all fit into If-Match:
// boundary and replicas of a reply change from read to read, but there are no ranges to be mixed.
std::string EntityTag(const coordinator::GetReply& reply, Form form);
// The context in a tag of either form, for If-Match. Empty if the text is no tag, or a weak one.
std::string_view ContextOfTag(std::string_view tag);
// `field` is an If-None-Match: "*" or a list of tags, which are compared without their weakness.
bool MatchesTag(std::string_view field, std::string_view tag);

}  // namespace lariat::frontend::http
