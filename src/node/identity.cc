// SPDX-License-Identifier: Apache-2.0
#include "node/identity.h"

#include "base/coding.h"

namespace lariat::node {
namespace {

using base::Code;
using base::Fail;
using storage::Space;

constexpr const char* kKey = "identity";

}  // namespace

base::Result<Identity> LoadIdentity(storage::Engine& engine, env::Entropy& entropy,
                                    const std::string& name) {
  auto stored = engine.GetBlocking(Space::kMeta, kKey);
  if (stored) {
    base::ByteReader r(*stored);
    const bool version_ok = r.U8() == 1;
    Identity identity{{r.U64(), r.U64()}, std::string(r.Sized())};
    if (!version_ok || !r.AtEnd() || identity.id.IsNil()) {
      return Fail(Code::kCorruption, "the node's identity in the data directory is damaged");
    }
    if (identity.name != name) {
      return Fail(Code::kConflict, "the data directory belongs to node '" + identity.name +
                                       "', not to '" + name + "'");
    }
    return identity;
  }
  if (stored.error().code != Code::kNotFound) return Fail(stored.error());
  Identity identity{base::Uuid::FromRandom(entropy.Next(), entropy.Next()), name};
  storage::WriteBatch batch;
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.U8(1);
  w.U64(identity.id.high);
  w.U64(identity.id.low);
  w.Sized(identity.name);
  batch.Put(Space::kMeta, kKey, std::move(bytes));
  // Unsynced is enough: the node syncs before it tells anybody.
  if (auto status = engine.Write(batch); !status) return Fail(status.error());
  return identity;
}

}  // namespace lariat::node
