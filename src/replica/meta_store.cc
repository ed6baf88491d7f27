// SPDX-License-Identifier: Apache-2.0
#include "replica/meta_store.h"

#include "base/check.h"

namespace lariat::replica {

using storage::Space;

namespace {

// Least text that is greater than every text with the prefix; "" if there is none.
std::string AfterPrefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

}  // namespace

MetaStore::MetaStore(storage::Engine& engine, storage::CompletionQueue& queue)
    : engine_(engine), queue_(queue) {}

void MetaStore::List(std::string prefix, ListDone done) {
  LARIAT_CHECK(!prefix.empty(), "the rest of the space belongs to others");
  std::string end = AfterPrefix(prefix);
  ListMore(std::move(prefix), std::move(end), {}, std::move(done));
}

void MetaStore::ListMore(std::string from, std::string end, Values found, ListDone done) {
  auto take = [this, end, found = std::move(found),
               done = std::move(done)](base::Result<std::vector<storage::Entry>> entries) mutable {
    if (!entries) return done(base::Fail(std::move(entries.error())));
    if (entries->empty()) return done(std::move(found));
    for (storage::Entry& entry : *entries) {
      found.emplace_back(std::move(entry.key), std::move(entry.value));
    }
    std::string next = found.back().first + '\0';
    ListMore(std::move(next), std::move(end), std::move(found), std::move(done));
  };
  engine_.Scan(Space::kMeta, std::move(from), end, {}, &queue_, lifetime_.Guard(std::move(take)));
}

void MetaStore::Apply(std::vector<Update> updates, StatusDone done) {
  storage::WriteBatch batch;
  for (Update& update : updates) {
    if (update.value) {
      batch.Put(Space::kMeta, std::move(update.name), std::move(*update.value));
    } else {
      batch.Remove(Space::kMeta, std::move(update.name));
    }
  }
  if (auto status = engine_.Write(batch); !status) {
    return queue_.Post(
        lifetime_.Guard([done = std::move(done), error = std::move(status.error())]() mutable {
          done(base::Fail(std::move(error)));
        }));
  }
  engine_.Sync(&queue_, lifetime_.Guard(std::move(done)));
}

}  // namespace lariat::replica
