// SPDX-License-Identifier: Apache-2.0
// Messages in words, for the trace.
#pragma once

#include <string>
#include <string_view>

#include "causal/object.h"
#include "wire/messages.h"

namespace lariat::sim {

// The key that a message is about; empty if it names none (replies carry only their request's id).
std::string_view SubjectOf(const wire::Envelope& envelope);
std::string Describe(const wire::Envelope& envelope);
std::string Describe(const causal::Object& object);
std::string DescribeObject(std::string_view encoded);

}  // namespace lariat::sim
