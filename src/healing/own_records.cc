// SPDX-License-Identifier: Apache-2.0
#include "healing/own_records.h"

#include <map>
#include <utility>

#include "base/gather.h"
#include "merkle/tree.h"
#include "repair/stream.h"

namespace lariat::healing {

using base::Code;
using base::Fail;

namespace {

void RemoveFrom(LocalShard& shard, const std::function<bool(const LocalShard&)>& allowed,
                std::vector<std::string> data_keys, RemovedDone done) {
  std::vector<replica::RecordVersion> records;
  for (const std::string& key : data_keys) records.push_back({key, std::nullopt});
  shard.replica().RemoveIf(
      std::move(records), [&shard, allowed] { return allowed(shard); },
      [keys = std::move(data_keys),
       done = std::move(done)](base::Result<std::vector<replica::RecordState>> states) mutable {
        if (!states) return done(Fail(std::move(states.error())));
        std::vector<std::string> skipped;
        for (size_t i = 0; i < keys.size(); ++i) {
          const bool busy = (*states)[i] == replica::RecordState::kBusy;
          if (busy) skipped.push_back(std::move(keys[i]));
        }
        done(std::move(skipped));
      });
}

}  // namespace

void RemoveOwn(const OwnWorld& world, std::vector<std::string> data_keys,
               std::function<bool(const LocalShard&)> allowed, RemovedDone done) {
  std::map<uint32_t, std::vector<std::string>> by_shard;
  for (std::string& key : data_keys) {
    const auto parsed = repair::ParseRecordKey(key);
    if (!parsed) continue;
    by_shard[ring::ShardOf(parsed->token, world.shards.count())].push_back(std::move(key));
  }
  const base::Gather<base::Result<std::vector<std::string>>> skipped({}, std::move(done));
  for (auto& [shard, keys] : by_shard) {
    skipped.Expect();
    LocalShard& owner = world.shards.shard(shard);
    const auto collect = [skipped](base::Result<std::vector<std::string>> removed) {
      if (!removed) {
        *skipped = std::move(removed);
      } else if (*skipped) {
        for (std::string& key : *removed) (*skipped)->push_back(std::move(key));
      }
      skipped.Arrive();
    };
    owner.Post([&owner, &home = world.home, allowed, keys = std::move(keys), collect]() mutable {
      RemoveFrom(owner, allowed, std::move(keys),
                 [&home, collect](base::Result<std::vector<std::string>> removed) {
                   home.Post([collect, removed = std::move(removed)]() mutable {
                     collect(std::move(removed));
                   });
                 });
    });
  }
  skipped.Arrive();
}

void OwnRecords::Leaves(uint32_t bucket, uint32_t first, uint32_t last, LeavesDone done) {
  const base::Gather<std::vector<replica::LeafPart>> gather({}, std::move(done));
  gather.Expect(shards_.count());
  for (uint32_t i = 0; i < shards_.count(); ++i) {
    LocalShard& shard = shards_.shard(i);
    shard.Post([&shard, &home = home_, bucket, first, last, gather] {
      home.Post(
          [gather, parts = shard.replica().tree().LeavesIfAny(bucket, first, last)]() mutable {
            if (gather->size() < parts.size()) gather->resize(parts.size());
            for (size_t leaf = 0; leaf < parts.size(); ++leaf) {
              (*gather)[leaf].sum += parts[leaf].sum;
              if (!parts[leaf].known) (*gather)[leaf].known = false;
            }
            gather.Arrive();
          });
    });
  }
  gather.Arrive();
}

void OwnRecords::StateOf(uint32_t bucket, TreeStateDone done) {
  const base::Gather<TreeState> gather({}, std::move(done));
  gather.Expect(shards_.count());
  for (uint32_t i = 0; i < shards_.count(); ++i) {
    LocalShard& shard = shards_.shard(i);
    shard.Post([&shard, &home = home_, bucket, gather] {
      const replica::TreeUpkeep& tree = shard.replica().tree();
      home.Post([gather, version = tree.VersionOf(bucket),
                 empty = tree.HoldNothing(bucket, 0, merkle::kLeaves - 1)] {
        gather->version += version;
        gather->empty = gather->empty && empty;
        gather.Arrive();
      });
    });
  }
  gather.Arrive();
}

void OwnRecords::Read(std::vector<std::string> data_keys, ObjectsDone done) {
  const base::Gather<Objects> gather(Objects(data_keys.size()), std::move(done));
  const std::optional<uint64_t> fence = fence_();
  for (size_t i = 0; i < data_keys.size(); ++i) {
    const auto key = repair::ParseRecordKey(data_keys[i]);
    if (!key || !fence) {
      (*gather)[i] = Fail(Code::kStaleEpoch, "this node is not in the cluster");
      continue;
    }
    gather.Expect();
    replica::KeyRef own{key->bucket, key->token, std::string(key->key)};
    shards_.ReadInDoubt(*fence, std::move(own), [gather, i](wire::ReadReply reply) {
      auto& object = (*gather)[i];
      if (!reply.outcome.ok()) {
        object = Fail(reply.outcome.ToError());
      } else if (reply.found) {
        object = std::move(reply.object);
      }
      gather.Arrive();
    });
  }
  gather.Arrive();
}

}  // namespace lariat::healing
