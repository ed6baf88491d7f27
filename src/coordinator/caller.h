// SPDX-License-Identifier: Apache-2.0
// Who asks: every request of clients and administrators carries it. A frontend makes one for each
// connection and gives each of its requests a copy, which costs a count and no allocation. A value:
// copies may go to any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace lariat::coordinator {

class Caller {
 public:
  // The node itself, or a node that hands a client's write on without saying whose it is.
  Caller() = default;
  // `who`: the user; empty while nobody has to say. `from`: the address, as "127.0.0.1:51234".
  Caller(std::string who, std::string from, std::string protocol)
      : facts_(std::make_shared<const Facts>(
            Facts{std::move(who), std::move(from), std::move(protocol)})) {}

  // Empty if not known; valid as long as any copy.
  std::string_view who() const { return facts_ ? facts_->who : std::string_view(); }
  std::string_view from() const { return facts_ ? facts_->from : std::string_view(); }
  std::string_view protocol() const { return facts_ ? facts_->protocol : std::string_view(); }

 private:
  struct Facts {
    std::string who, from, protocol;
  };
  std::shared_ptr<const Facts> facts_;  // co-owned by all copies
};

}  // namespace lariat::coordinator
