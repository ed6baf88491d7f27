// SPDX-License-Identifier: Apache-2.0
#include "node/identity.h"

#include <fmt/format.h>

#include <bit>
#include <optional>
#include <string_view>

#include "base/coding.h"

namespace lariat::node {
namespace {

using base::Code;
using base::Fail;
using storage::Space;

constexpr const char* kKey = "identity";
constexpr const char* kPlacementKey = "placement";
constexpr uint8_t kPlacementVersion = 1;

// Of the settings.
struct Placement {
  std::string dc, rack;
  double weight = 1;
  uint64_t vnodes = 0;
};

std::string EncodeIdentity(const Placement& placement) {
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.U8(kPlacementVersion);
  w.Sized(placement.dc);
  w.Sized(placement.rack);
  w.U64(std::bit_cast<uint64_t>(placement.weight));
  w.U64(placement.vnodes);
  return bytes;
}

std::optional<Placement> DecodePlacement(std::string_view bytes) {
  base::ByteReader r(bytes);
  if (r.U8() != kPlacementVersion) return std::nullopt;
  Placement placement;
  placement.dc = std::string(r.Sized());
  placement.rack = std::string(r.Sized());
  placement.weight = std::bit_cast<double>(r.U64());
  placement.vnodes = r.U64();
  if (!r.AtEnd()) return std::nullopt;
  return placement;
}

// What was changed since `before` and is not what the cluster has; empty if nothing was.
std::string Misplaced(const Placement& now, const Placement& before,
                      const membership::Member& self) {
  constexpr const char* kElsewhere =
      "A node does not move while it holds data: let it leave (lariat cluster decommission {0}), "
      "and start it with an empty data directory and {1}";
  const auto text = [&self](const char* setting, const auto& is, const auto& was) {
    return fmt::format("{} = {} differs from the {} with which node '{}' is in the cluster. ",
                       setting, is, was, self.name);
  };
  if (now.dc != before.dc && now.dc != self.dc) {
    return text("node.dc", now.dc, self.dc) +
           fmt::format(fmt::runtime(kElsewhere), self.name, "--dc " + now.dc);
  }
  if (now.rack != before.rack && now.rack != self.rack) {
    return text("node.rack", now.rack, self.rack) +
           fmt::format(fmt::runtime(kElsewhere), self.name, "--rack " + now.rack);
  }
  if (now.weight != before.weight && now.weight != self.weight) {
    return text("node.weight", now.weight, self.weight) +
           fmt::format("Start it with {}, then change it: lariat cluster reweight {} {}",
                       self.weight, self.name, now.weight);
  }
  if (now.vnodes != before.vnodes) {
    return text("node.vnodes", now.vnodes, before.vnodes) +
           fmt::format(
               "A node keeps its tokens. To give it a larger or smaller share: lariat cluster "
               "reweight {0} WEIGHT. For another number of them: lariat cluster decommission "
               "{0}, then start it with an empty data directory",
               self.name);
  }
  return "";
}

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

base::Status CheckPlacement(storage::Engine& engine, const config::Settings& settings,
                            const membership::Member* self, telemetry::LogSink& log) {
  const Placement now{settings.node_dc, settings.node_rack, settings.node_weight,
                      static_cast<uint64_t>(settings.node_vnodes)};
  auto stored = engine.GetBlocking(Space::kMeta, kPlacementKey);
  if (!stored && stored.error().code != Code::kNotFound) return Fail(stored.error());
  const auto before = stored ? DecodePlacement(*stored) : std::nullopt;
  if (self != nullptr && before) {
    const std::string why = Misplaced(now, *before, *self);
    if (!why.empty()) return Fail(Code::kConflict, why);
  }
  // The first start by a build that looks, when the settings have long been what they are; or a
  // note that cannot be read. Neither is a reason to stay away.
  if (self != nullptr && !before) {
    const Placement nowhere{self->dc + "?", self->rack + "?", -1, now.vnodes};
    const std::string why = Misplaced(now, nowhere, *self);
    if (!why.empty()) log.Log(telemetry::LogLevel::kWarn, "identity", "ignored: {}", why);
  }
  std::string bytes = EncodeIdentity(now);
  if (stored && *stored == bytes) return {};
  storage::WriteBatch batch;
  batch.Put(Space::kMeta, kPlacementKey, std::move(bytes));
  if (auto status = engine.Write(batch); !status) {
    // A full disk, say. The next start notes it.
    log.Log(telemetry::LogLevel::kWarn, "identity", "dc, rack, weight and vnodes are not noted: {}",
            status.error().message);
  }
  return {};
}

}  // namespace lariat::node
