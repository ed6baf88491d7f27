// SPDX-License-Identifier: Apache-2.0
#include "sim/world/damage.h"

#include <algorithm>
#include <utility>

#include "causal/object.h"
#include "storage/record.h"

namespace lariat::sim {

using storage::Space;

namespace {

constexpr uint64_t kFileRecordsMax = 20;

std::string WithBitTurned(std::string bytes, size_t at, base::Prng* prng) {
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << prng->Below(8)));
  return bytes;
}

const auto& DataOf(const Damage::Image& image) { return image[static_cast<size_t>(Space::kData)]; }

}  // namespace

std::string Damage::Spoiled(std::string record, bool unseen, base::Prng* prng) {
  if (!unseen) {
    const size_t at = prng->Below(record.size());
    return WithBitTurned(std::move(record), at, prng);
  }
  const auto view = storage::ParseRecord(record);
  if (!view) return record;
  // Towards the end are the bytes of values: a change there makes another value of the same dot.
  for (size_t at = view->object.size(); at > 0; --at) {
    const std::string object = WithBitTurned(std::string(view->object), at - 1, prng);
    if (causal::Object::Decode(object)) return storage::EncodeRecord(view->own_actor, object);
  }
  return record;
}

void Damage::AddSpoiled(const std::string& data_key, std::string before, std::string bytes) {
  lost_[data_key].push_back(std::move(before));
  spoiled_[data_key] = std::move(bytes);
}

bool Damage::IsSpoiled(std::string_view data_key, std::string_view record) const {
  const auto found = spoiled_.find(data_key);
  return found != spoiled_.end() && found->second == record;
}

void Damage::AddUnreadable(const Image& image, base::Prng* prng) {
  const auto& data = DataOf(image);
  if (data.empty() || unreadable_) return;
  const size_t first = prng->Below(data.size());
  const size_t more = prng->Below(std::min<uint64_t>(kFileRecordsMax, data.size() - first));
  const auto begin = std::next(data.begin(), static_cast<std::ptrdiff_t>(first));
  const auto last = std::next(begin, static_cast<std::ptrdiff_t>(more));
  unreadable_ = Stretch{begin->first, last->first};
}

bool Damage::IsUnreadable(Space space, std::string_view key) const {
  return unreadable_ && space == Space::kData && unreadable_->first <= key &&
         key <= unreadable_->last;
}

bool Damage::Meets(Space space, std::string_view from, std::string_view to,
                   const std::vector<storage::Entry>& found) const {
  if (!unreadable_ || space != Space::kData || from > unreadable_->last) return false;
  // A page that ends before the stretch has not touched it.
  if (!found.empty()) return found.back().key >= unreadable_->first;
  return to.empty() || to > unreadable_->first;
}

Damage::Image Damage::Salvage(Image image) {
  auto& data = image[static_cast<size_t>(Space::kData)];
  std::erase_if(data, [this](const auto& e) { return IsUnreadable(Space::kData, e.first); });
  image[static_cast<size_t>(Space::kTree)].clear();
  image[static_cast<size_t>(Space::kMeta)].insert_or_assign(std::string(storage::kSalvagedKey),
                                                            "whole log");
  unreadable_.reset();
  return image;
}

void Damage::NoteLost(const Image& before, const Image& after) {
  for (const auto& [key, record] : DataOf(before)) {
    const auto now = DataOf(after).find(key);
    if (now == DataOf(after).end() || now->second != record) lost_[key].push_back(record);
  }
}

const std::vector<std::string>& Damage::LostOf(const std::string& data_key) const {
  static const std::vector<std::string> kNothing;
  const auto found = lost_.find(data_key);
  return found == lost_.end() ? kNothing : found->second;
}

}  // namespace lariat::sim
