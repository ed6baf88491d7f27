// SPDX-License-Identifier: Apache-2.0
#include "healing/passes.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/coding.h"

namespace lariat::healing {

using repair::ExchangePair;

namespace {

constexpr std::string_view kPassPrefix = "pass/";
constexpr uint8_t kPassVersion = 1;

std::string PassName(const ExchangePair& pair) {
  return fmt::format("{}{:08x}/{:016x}", kPassPrefix, pair.bucket, pair.partner);
}

std::optional<ExchangePair> ParsePassName(std::string_view name) {
  ExchangePair pair;
  const auto hex = [](std::string_view text, auto* out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, 16);
    return error == std::errc() && end == text.data() + text.size();
  };
  constexpr size_t kBucketAt = kPassPrefix.size();
  constexpr size_t kPartnerAt = kBucketAt + 9;
  if (name.size() != kPartnerAt + 16) return std::nullopt;
  if (!hex(name.substr(kBucketAt, 8), &pair.bucket)) return std::nullopt;
  if (!hex(name.substr(kPartnerAt), &pair.partner)) return std::nullopt;
  return pair;
}

struct Pass {
  int64_t began_ms = 0;
  uint64_t fence = 0;
};

std::string EncodePass(const Pass& pass) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  writer.U8(kPassVersion);
  writer.U64(static_cast<uint64_t>(pass.began_ms));
  writer.U64(pass.fence);
  return bytes;
}

// A lost or unreadable one only costs a comparison.
std::optional<Pass> DecodePass(std::string_view bytes) {
  base::ByteReader reader(bytes);
  if (reader.U8() != kPassVersion) return std::nullopt;
  Pass pass;
  pass.began_ms = static_cast<int64_t>(reader.U64());
  pass.fence = reader.U64();
  if (!reader.AtEnd()) return std::nullopt;
  return pass;
}

}  // namespace

void Passes::Load(uint64_t fence, Held held, Done done) {
  Forget();
  meta_.List(std::string(kPassPrefix),
             [this, load = loads_, fence, held = std::move(held),
              done = std::move(done)](base::Result<replica::MetaStore::Values> values) mutable {
               if (load != loads_) return;
               Began began;
               std::vector<replica::MetaStore::Update> useless;
               // Without them all pairs are simply compared again.
               for (const auto& [name, bytes] : values ? *values : replica::MetaStore::Values()) {
                 const auto pair = ParsePassName(name);
                 const auto pass = DecodePass(bytes);
                 if (pair && pass && pass->fence == fence && held(*pair)) {
                   began[*pair] = pass->began_ms;
                 } else {
                   useless.push_back({name, std::nullopt});
                 }
               }
               if (!useless.empty()) meta_.Apply(std::move(useless), [](const base::Status&) {});
               done(std::move(began));
             });
}

void Passes::Forget() {
  ++loads_;
  unstored_.clear();
}

void Passes::Store(uint64_t fence) {
  if (unstored_.empty()) return;
  std::vector<replica::MetaStore::Update> updates;
  for (const auto& [pair, began_ms] : std::exchange(unstored_, {})) {
    updates.push_back({PassName(pair), EncodePass({began_ms, fence})});
  }
  meta_.Apply(std::move(updates), [](const base::Status&) {});
}

}  // namespace lariat::healing
