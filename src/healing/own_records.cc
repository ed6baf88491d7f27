// SPDX-License-Identifier: Apache-2.0
#include "healing/own_records.h"

#include <utility>

#include "base/gather.h"
#include "merkle/tree.h"
#include "repair/stream.h"

namespace lariat::healing {

using base::Code;
using base::Fail;

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
