// SPDX-License-Identifier: Apache-2.0
// The one event for a change of a record of this node, and those who ride along with it. It is
// raised in one place (Records::Change) when the change is staged, before it is in the engine; what
// a rider adds goes into the very batch that changes the record, so that the two are never apart,
// after a crash either.
//
//   OnChange ... OnChange | BeforeWrite(batch) | Engine::Write | AfterWrite(applied)
//
// What is kept for other members is no record of this node and raises nothing.
//
// The list of riders is known when this is compiled: a change costs each rider one direct call. A
// new rider is a class with these four methods and a name in riders.h.
//
// Threads: one shard's thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>

#include "base/result.h"
#include "causal/object.h"
#include "storage/engine.h"

namespace lariat::replica {

// A record as it is before or after. Whoever needs more than this decodes the object.
struct RecordImage {
  std::string_view object;  // causal::Object bytes; points to what the caller owns
  causal::ObjectTraits traits;
};

// Of the bytes of an object. An error if they are none.
inline base::Result<RecordImage> ReadImage(std::string_view object) {
  const auto decoded = causal::Object::Decode(object);
  if (!decoded) return base::Fail(decoded.error());
  return RecordImage{object, decoded->Traits()};
}

// Valid during the call only.
struct RecordChange {
  std::string_view data_key;          // storage::DataKey
  std::optional<RecordImage> before;  // nothing: there was no record, or `spoiled`
  std::optional<RecordImage> after;   // nothing: the record is removed
  bool spoiled = false;               // what there was before cannot be read
};

template <typename T>
concept RecordRider = requires(T& rider, const T& seen, const RecordChange& change,
                               storage::WriteBatch* batch) {
  rider.OnChange(change);
  // Changes when what an earlier BeforeWrite has added would not be right any more.
  { seen.Version() } -> std::same_as<uint64_t>;
  // Appends to the batch, which is about to be written. Called again if the batch stalls and the
  // version has changed; what was appended before is gone then.
  rider.BeforeWrite(batch);
  // The batch is in the engine, or was refused for good.
  rider.AfterWrite(true);
};

template <RecordRider... Rider>
class RiderList {
 public:
  // The riders outlive the list.
  explicit RiderList(Rider&... riders) : riders_(riders...) {}

  void OnChange(const RecordChange& change) {
    std::apply([&](auto&... rider) { (rider.OnChange(change), ...); }, riders_);
  }
  uint64_t Version() const {
    return std::apply([](const auto&... rider) { return (rider.Version() + ...); }, riders_);
  }
  void BeforeWrite(storage::WriteBatch* batch) {
    std::apply([&](auto&... rider) { (rider.BeforeWrite(batch), ...); }, riders_);
  }
  void AfterWrite(bool applied) {
    std::apply([&](auto&... rider) { (rider.AfterWrite(applied), ...); }, riders_);
  }

 private:
  std::tuple<Rider&...> riders_;
};

}  // namespace lariat::replica
