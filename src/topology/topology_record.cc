// SPDX-License-Identifier: Apache-2.0
#include "topology/topology_record.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/coding.h"
#include "base/hash.h"

namespace lariat::topology {

using base::Code;
using base::Fail;
using membership::Topology;
using storage::Space;
using telemetry::LogLevel;

namespace {

constexpr std::string_view kMagic = "LARTOPO2";
constexpr std::string_view kMagicBefore = "LARTOPO1";  // without the number of stores
// In Space::kMeta.
constexpr const char* kDocumentKey = "topology";
constexpr const char* kVotesKey = "register";
constexpr const char* kLostKey = "register_lost";
constexpr const char* kExpelledKey = "expelled";
constexpr const char* kStoresKey = "topology_stores";

std::string EncodeVotes(const TopologyRecord::Votes& votes) {
  std::string bytes;
  base::ByteWriter(&bytes).U64(votes.epoch);
  votes.state.EncodeTo(&bytes);
  return bytes;
}

std::optional<TopologyRecord::Votes> DecodeVotes(std::string_view bytes) {
  base::ByteReader r(bytes);
  TopologyRecord::Votes votes;
  votes.epoch = r.U64();
  auto state = consensus::AcceptorState::Decode(r.Rest());
  if (!r.ok() || !state) return std::nullopt;
  votes.state = std::move(*state);
  return votes;
}

std::string EncodeDocument(const std::optional<Topology>& document) {
  return document ? membership::EncodeTopology(*document) : "";
}

void PutStoresInto(uint64_t stores, storage::WriteBatch* batch) {
  std::string bytes;
  base::ByteWriter(&bytes).U64(stores);
  batch->Put(Space::kMeta, kStoresKey, std::move(bytes));
}

void PutVotesInto(const TopologyRecord::Votes& votes, storage::WriteBatch* batch) {
  batch->Put(Space::kMeta, kVotesKey, EncodeVotes(votes));
  if (votes.lost) {
    batch->Put(Space::kMeta, kLostKey, "1");
  } else {
    batch->Remove(Space::kMeta, kLostKey);
  }
}

// Empty if there is none.
base::Result<std::string> LoadMeta(storage::Engine& engine, const char* key) {
  auto bytes = engine.GetBlocking(Space::kMeta, key);
  if (!bytes && bytes.error().code == Code::kNotFound) return std::string();
  return bytes;
}

base::Result<std::optional<Topology>> LoadDocument(storage::Engine& engine, const char* key) {
  const auto bytes = LoadMeta(engine, key);
  if (!bytes) return Fail(bytes.error());
  if (bytes->empty()) return std::optional<Topology>();
  auto topology = membership::DecodeTopology(*bytes);
  if (!topology) return Fail(Code::kCorruption, "stored: " + membership::WhyUnreadable(*bytes));
  return topology;
}

base::Result<TopologyRecord::Stored> LoadFirstCopy(storage::Engine& engine) {
  TopologyRecord::Stored stored;
  const auto votes = LoadMeta(engine, kVotesKey);
  if (!votes) return Fail(votes.error());
  if (!votes->empty()) {
    auto decoded = DecodeVotes(*votes);
    if (!decoded) {
      return Fail(Code::kCorruption, "the stored consensus state of the topology is damaged");
    }
    stored.votes = std::move(*decoded);
  }
  const auto lost = LoadMeta(engine, kLostKey);
  if (!lost) return Fail(lost.error());
  stored.votes.lost = !lost->empty();
  auto document = LoadDocument(engine, kDocumentKey);
  if (!document) return Fail(document.error());
  stored.topology = std::move(*document);
  auto expelled_by = LoadDocument(engine, kExpelledKey);
  if (!expelled_by) return Fail(expelled_by.error());
  stored.expelled_by = std::move(*expelled_by);
  const auto stores = LoadMeta(engine, kStoresKey);
  if (!stores) return Fail(stores.error());
  base::ByteReader reader(*stores);
  if (!stores->empty()) stored.stores = reader.U64();
  if (!reader.AtEnd()) {
    return Fail(Code::kCorruption, "the stored number of topology stores is damaged");
  }
  return stored;
}

base::Result<TopologyRecord::Stored> LoadSecondCopy(storage::Engine& engine) {
  const auto bytes = engine.ReadApart();
  if (!bytes) return Fail(bytes.error());
  auto stored = DecodeTopologyRecord(*bytes);
  if (!stored) return Fail(Code::kCorruption, "it is damaged");
  return std::move(*stored);
}

base::Status RestoreFirstCopy(storage::Engine& engine, const TopologyRecord::Stored& stored) {
  storage::WriteBatch batch;
  PutVotesInto(stored.votes, &batch);
  PutStoresInto(stored.stores, &batch);
  if (stored.topology) batch.Put(Space::kMeta, kDocumentKey, EncodeDocument(stored.topology));
  if (stored.expelled_by) batch.Put(Space::kMeta, kExpelledKey, EncodeDocument(stored.expelled_by));
  return engine.Write(batch);
}

}  // namespace

std::string EncodeTopologyRecord(const TopologyRecord::Stored& record) {
  std::string bytes(kMagic);
  base::ByteWriter writer(&bytes);
  writer.U64(record.stores);
  writer.U8(record.votes.lost ? 1 : 0);
  writer.Sized(EncodeVotes(record.votes));
  writer.Sized(EncodeDocument(record.topology));
  writer.Sized(EncodeDocument(record.expelled_by));
  writer.U64(base::Hash64(bytes));
  return bytes;
}

std::optional<TopologyRecord::Stored> DecodeTopologyRecord(std::string_view bytes) {
  base::ByteReader reader(bytes);
  const std::string_view magic = reader.Raw(kMagic.size());
  const bool is_one = magic == kMagic || magic == kMagicBefore;
  TopologyRecord::Stored stored;
  if (magic == kMagic) stored.stores = reader.U64();
  const uint8_t lost = reader.U8();
  auto votes = DecodeVotes(reader.Sized());
  const std::string_view document = reader.Sized();
  const std::string_view expelled_by = reader.Sized();
  const size_t hashed = bytes.size() - reader.Rest().size();
  const uint64_t hash = reader.U64();
  if (!is_one || lost > 1 || !votes || !reader.AtEnd()) return std::nullopt;
  if (hash != base::Hash64(bytes.substr(0, hashed))) return std::nullopt;
  stored.votes = std::move(*votes);
  stored.votes.lost = lost == 1;
  if (!document.empty()) stored.topology = membership::DecodeTopology(document);
  if (!expelled_by.empty()) stored.expelled_by = membership::DecodeTopology(expelled_by);
  const bool whole = stored.topology.has_value() == !document.empty() &&
                     stored.expelled_by.has_value() == !expelled_by.empty();
  return whole ? std::optional(std::move(stored)) : std::nullopt;
}

base::Result<TopologyRecord::Stored> LoadCluster(storage::Engine& engine) {
  auto second = LoadSecondCopy(engine);
  const bool cut = engine.Stats().log_truncated;
  if (cut && second) {
    if (auto status = RestoreFirstCopy(engine, *second); !status) return Fail(status.error());
    return second;
  }
  auto first = LoadFirstCopy(engine);
  if (!first) return first;
  if (!second && second.error().code != Code::kNotFound) {
    first->copy_trouble = second.error().message;
  }
  if (!cut || first->votes.lost) return first;
  first->votes.lost = true;
  storage::WriteBatch batch;
  PutVotesInto(first->votes, &batch);
  if (auto status = engine.Write(batch); !status) return Fail(status.error());
  return first;
}

TopologyRecord::TopologyRecord(storage::Engine& engine, storage::CompletionQueue& queue,
                               Stored stored)
    : engine_(engine),
      queue_(queue),
      now_(std::move(stored)),
      durable_stores_(std::make_shared<uint64_t>(now_.stores)) {}

void TopologyRecord::Start(telemetry::LogSink& log) {
  if (!now_.copy_trouble.empty()) {
    log.Log(LogLevel::kWarn, "cluster",
            "the file APART, with a copy of the topology and of this node's votes on it, cannot be "
            "read and is written anew: {}",
            now_.copy_trouble);
  }
  Store({}, [](const base::Status&) {});  // if it fails, the next vote writes it
}

void TopologyRecord::PutDocument(const Topology& document, Done done) {
  now_.topology = document;
  storage::WriteBatch batch;
  batch.Put(Space::kMeta, kDocumentKey, EncodeDocument(now_.topology));
  Store(std::move(batch), std::move(done));
}

void TopologyRecord::PutVotes(uint64_t epoch, consensus::AcceptorState state, Done done) {
  now_.votes.epoch = epoch;
  now_.votes.state = std::move(state);
  StoreVotes(std::move(done));
}

void TopologyRecord::PutVotesLost(uint64_t above, Done done) {
  now_.votes.lost = true;
  now_.stores = std::max(now_.stores, above);
  StoreVotes(std::move(done));
}

void TopologyRecord::PutVotesFound(Done done) {
  now_.votes.lost = false;
  StoreVotes(std::move(done));
}

void TopologyRecord::StoreVotes(Done done) {
  storage::WriteBatch batch;
  PutVotesInto(now_.votes, &batch);
  Store(std::move(batch), std::move(done));
}

void TopologyRecord::PutExpulsion(const Topology& by, Done done) {
  now_.expelled_by = by;
  storage::WriteBatch batch;
  batch.Put(Space::kMeta, kExpelledKey, EncodeDocument(now_.expelled_by));
  Store(std::move(batch), std::move(done));
}

void TopologyRecord::Store(storage::WriteBatch batch, Done done) {
  if (!batch.Empty()) {
    PutStoresInto(++now_.stores, &batch);
    if (auto status = engine_.Write(batch); !status) {
      queue_.Post([done = std::move(done), status]() mutable { done(status); });
      return;
    }
  }
  engine_.WriteApart(
      EncodeTopologyRecord(now_), &queue_,
      [&engine = engine_, &queue = queue_, stores = now_.stores, durable = durable_stores_,
       done = std::move(done)](const base::Status& status) mutable {
        if (!status) return done(status);
        engine.Sync(&queue,
                    [stores, durable, done = std::move(done)](const base::Status& synced) mutable {
                      if (synced) *durable = std::max(*durable, stores);
                      done(synced);
                    });
      });
}

}  // namespace lariat::topology
