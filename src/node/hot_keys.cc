// SPDX-License-Identifier: Apache-2.0
#include "node/hot_keys.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/gather.h"
#include "peers/reply.h"

namespace lariat::node {

using coordinator::HotKeysShown;
using telemetry::HotBy;
using telemetry::HotKey;

namespace {

constexpr base::Duration kTimeout = base::Seconds(1);
// A key may be spread over nodes: each tells of more than are asked for.
constexpr uint32_t kToldMax = telemetry::HotKeys::kKeys;

HotKeysShown Shown(std::vector<HotKey> keys, HotBy by, std::vector<std::string> silent) {
  HotKeysShown shown;
  shown.window_s = static_cast<uint32_t>(telemetry::HotKeys::kWindow / base::Seconds(1));
  for (HotKey& hot : keys) {
    coordinator::HotKeyShown key;
    key.bucket = std::move(hot.bucket);
    key.key = std::move(hot.key);
    if (by == HotBy::kSize) {
      key.bytes = static_cast<uint64_t>(hot.figure);
    } else {
      key.per_s = hot.figure;
    }
    shown.keys.push_back(std::move(key));
  }
  std::sort(silent.begin(), silent.end());
  shown.silent = std::move(silent);
  return shown;
}

struct Heard {
  std::vector<HotKey> keys;
  std::vector<std::string> silent;
};

void Hear(const base::Result<wire::HotReply>& reply, const std::string& name, Heard* heard) {
  if (!reply || !reply->outcome.ok()) {
    heard->silent.push_back(name);
    return;
  }
  for (const wire::HotReply::Entry& entry : reply->entries) {
    heard->keys.push_back({entry.bucket, entry.key, entry.figure});
  }
}

}  // namespace

void ClusterHotKeys::Own(HotBy by, size_t limit, OwnDone done) {
  const base::Gather<std::vector<HotKey>> gather(
      {}, [by, limit, done = std::move(done)](std::vector<HotKey> all) mutable {
        done(telemetry::MergeHot(std::move(all), by, limit));
      });
  gather.Expect(shards_.size());
  for (const auto& shard : shards_) {
    shard->Post([&home = *shards_[0], &asked = *shard, gather, by, limit] {
      auto top = asked.coordinator().hot().Top(asked.home().env().clock.Now(), by, limit);
      home.Post([gather, top = std::move(top)]() mutable {
        std::move(top.begin(), top.end(), std::back_inserter(*gather));
        gather.Arrive();
      });
    });
  }
  gather.Arrive();
}

void ClusterHotKeys::Serve(const wire::HotRequest& request,
                           base::UniqueFunction<void(wire::Body)> done) {
  if (request.by >= static_cast<uint32_t>(HotBy::kCount)) {
    wire::HotReply reply;
    reply.outcome = {base::Code::kUnsupported, "hot keys are not counted by that"};
    return done(std::move(reply));
  }
  Own(static_cast<HotBy>(request.by), std::min(request.limit, kToldMax),
      [done = std::move(done)](std::vector<HotKey> keys) mutable {
        wire::HotReply reply;
        for (HotKey& hot : keys) {
          reply.entries.push_back({std::move(hot.bucket), std::move(hot.key), hot.figure});
        }
        done(std::move(reply));
      });
}

void ClusterHotKeys::Gather(const coordinator::HotRequest& request,
                            coordinator::AdminService::HotDone done) {
  Own(request.by, kToldMax,
      [this, request, done = std::move(done)](std::vector<HotKey> own) mutable {
        AskOthers(request, std::move(own), std::move(done));
      });
}

void ClusterHotKeys::AskOthers(const coordinator::HotRequest& request, std::vector<HotKey> own,
                               coordinator::AdminService::HotDone done) {
  const base::Gather<Heard> gather(
      {std::move(own), {}},
      [by = request.by, limit = request.limit, done = std::move(done)](Heard heard) mutable {
        auto merged = telemetry::MergeHot(std::move(heard.keys), by, limit);
        done(Shown(std::move(merged), by, std::move(heard.silent)));
      });
  Shard& home = *shards_[0];
  const auto view = home.view();
  for (ring::NodeIndex i = 0; view && i < view->ring.size(); ++i) {
    if (i == view->self) continue;
    const auto peer = home.peers().PeerIn(*view, i);
    // A build without lists ends the connection at a question like this, too.
    if (!peer || !home.peers().IsAlive(i) || !home.peers().TakesScans(*peer)) {
      gather->silent.push_back(view->MemberAt(i).name);
      continue;
    }
    gather.Expect();
    home.peers().Call(*peer, wire::HotRequest{static_cast<uint32_t>(request.by), kToldMax},
                      kTimeout,
                      [gather, name = view->MemberAt(i).name](base::Result<wire::Body> body) {
                        Hear(peers::ReplyIn<wire::HotReply>(std::move(body)), name, &*gather);
                        gather.Arrive();
                      });
  }
  gather.Arrive();
}

}  // namespace lariat::node
