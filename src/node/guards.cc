// SPDX-License-Identifier: Apache-2.0
#include "node/guards.h"

#include <utility>

namespace lariat::node {
namespace {

const std::shared_ptr<const std::string>* BookOf(const Shard& shard) {
  const auto& view = shard.view();
  return view ? &view->topology.access : nullptr;
}

}  // namespace

Guards::OfShard::OfShard(Guards& all, Shard& shard, coordinator::AdminService& admin_service)
    : audit(all.world_.audit, all.world_.node, shard.home().env().clock, shard.metrics()),
      gate({access::ParseMode(all.world_.settings.security_auth),
            all.world_.settings.security_audit_data},
           {[&shard] { return BookOf(shard); }, audit, shard.home().env().clock, shard.metrics(),
            all.world_.log}),
      kv(gate, shard.coordinator()),
      admin(gate, admin_service),
      access({base::Seconds(all.world_.settings.security_token_ttl_s),
              all.world_.settings.security_open_metrics},
             {gate, all, shard.home().env(), shard.metrics()}) {}

Guards::Guards(const World& world)
    : world_(world),
      desk_({world.shards[0]->home().env(), world.workers, world.shards[0]->metrics()},
            world.settings.security_failed_logins_per_s),
      first_book_({world.shards[0]->home().env(), *this,
                   [this] { return world_.shards[0]->view() != nullptr; },
                   [this] {
                     const auto* book = BookOf(*world_.shards[0]);
                     return book != nullptr && *book != nullptr;
                   },
                   world.log},
                  world.first_password) {
  for (size_t i = 0; i < world.shards.size(); ++i) {
    guards_.push_back(std::make_unique<OfShard>(*this, *world.shards[i], *world.admins[i]));
  }
}

void Guards::Start() { first_book_.Start(); }

void Guards::ProposeBook(Edit edit, StatusDone done) {
  world_.cluster().SetAccess(
      [edit = std::move(edit)](const membership::Topology& now) -> membership::Next {
        auto book = now.access ? security::DecodeBook(*now.access) : std::nullopt;
        if (now.access && !book) {
          return base::Fail(base::Code::kCorruption, "the users that were agreed on are damaged");
        }
        auto next = edit(book ? &*book : nullptr);
        if (!next) return base::Fail(std::move(next.error()));
        if (!*next) return std::nullopt;
        membership::Topology after = now;
        ++after.epoch;
        after.access = std::make_shared<const std::string>(security::EncodeBook(**next));
        return after;
      },
      [done = std::move(done)](const base::Result<membership::Topology>& result) mutable {
        if (!result) return done(base::Fail(result.error()));
        done({});
      });
}

}  // namespace lariat::node
