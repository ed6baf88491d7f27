// SPDX-License-Identifier: Apache-2.0
// What a peer has answered, as the reply that was expected.
#pragma once

#include <utility>
#include <variant>

#include "base/result.h"
#include "wire/messages.h"

namespace lariat::peers {

// kInternal if it is a reply of another kind; its outcome may still be an error.
template <typename Reply>
base::Result<Reply> ReplyIn(base::Result<wire::Body>&& body) {
  if (!body) return base::Fail(std::move(body.error()));
  if (auto* reply = std::get_if<Reply>(&*body)) return std::move(*reply);
  return base::Fail(base::Code::kInternal, "a peer sent an answer of another kind");
}

}  // namespace lariat::peers
