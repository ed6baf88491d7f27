// SPDX-License-Identifier: Apache-2.0
// Who asks: every request of clients and administrators carries it. A frontend makes one for each
// connection and gives each of its requests a copy, which costs a count and no allocation. A value:
// copies may go to any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace lariat::coordinator {

class Caller {
 public:
  // Nobody known: before a login; or a node that hands a client's write on without saying whose.
  Caller() = default;
  // `who`: the user; empty while nobody has to say. `from`: the address, as "127.0.0.1:51234".
  // `generation`: of the user when it logged in; a changed password or a deleted user ends it.
  Caller(std::string who, std::string from, std::string protocol, uint64_t generation = 0)
      : facts_(std::make_shared<const Facts>(
            Facts{std::move(who), std::move(from), std::move(protocol), generation})) {}
  // The node itself, where a gate would ask: what it does of its own accord.
  static Caller Node() { return {"", "", "node"}; }
  bool IsNode() const { return protocol() == "node"; }

  // Empty if not known; valid as long as any copy.
  std::string_view who() const { return facts_ ? facts_->who : std::string_view(); }
  std::string_view from() const { return facts_ ? facts_->from : std::string_view(); }
  std::string_view protocol() const { return facts_ ? facts_->protocol : std::string_view(); }
  uint64_t generation() const { return facts_ ? facts_->generation : 0; }

 private:
  struct Facts {
    std::string who, from, protocol;
    uint64_t generation = 0;
  };
  std::shared_ptr<const Facts> facts_;  // co-owned by all copies
};

}  // namespace lariat::coordinator
