// SPDX-License-Identifier: Apache-2.0
#include "sim/check/dot_registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/model/history.h"
#include "storage/record.h"

namespace lariat::sim {

void DotRegistry::OnRecord(const std::string& data_key, const std::string& record) {
  auto view = storage::ParseRecord(record);
  const auto parts = storage::ParseDataKey(data_key);
  if (!view || !parts) {
    return report_.Fail("dots", "", "a disk was given a malformed record", scheduler_.Now());
  }
  if (!known_.insert(base::Hash64(view->object, base::Hash64(data_key))).second) return;
  auto object = causal::Object::Decode(view->object);
  const std::string key(parts->key);
  if (!object) {
    return report_.Fail("dots", key, "a disk was given a malformed object", scheduler_.Now());
  }
  report_.Count("checks: objects stored");
  if (const causal::LwwRegister* lww = object->lww()) {
    return Add(key, {{lww->node, 0, 0}, lww->stamp.packed}, lww->value);
  }
  for (const causal::DottedValue& v : object->dvv()->values()) Add(key, v.dot, v.value);
}

void DotRegistry::Add(const std::string& key, const causal::Dot& dot, const causal::Value& value) {
  std::string bytes;
  base::ByteWriter writer(&bytes);
  causal::EncodeValue(value, &writer);
  const std::string text(WithoutPadding(value.bytes));
  Meaning meaning{key, base::Hash64(bytes), value.tombstone ? "(tombstone)" : text};
  // An actor writes one record only. Stamps of registers are told apart by their keys.
  const bool is_stamp = dot.actor.incarnation == 0;
  const auto [it, is_new] = meanings_.try_emplace({is_stamp ? key : "", dot}, meaning);
  if (!is_new && (it->second.hash != meaning.hash || it->second.key != key)) {
    report_.Fail("dots", key,
                 fmt::format("the dot ({:x}.{:x}.{},{}) means {} and {}", dot.actor.node,
                             dot.actor.incarnation, dot.actor.mint, dot.counter, it->second.value,
                             meaning.value),
                 scheduler_.Now());
  }
  if (value.tombstone) return;
  dots_[text].insert(dot);
  if (value.expires_ms == 0) return;
  const auto [at, first] = expiries_.try_emplace(text, Expiry{value.expires_ms, value.expires_ms});
  at->second.first_ms = std::min(at->second.first_ms, value.expires_ms);
  at->second.last_ms = std::max(at->second.last_ms, value.expires_ms);
}

std::optional<DotRegistry::Expiry> DotRegistry::ExpiryOf(const std::string& value) const {
  const auto found = expiries_.find(value);
  if (found == expiries_.end()) return std::nullopt;
  return found->second;
}

const std::set<causal::Dot>& DotRegistry::DotsOf(const std::string& value) const {
  static const std::set<causal::Dot> none;
  const auto found = dots_.find(value);
  return found == dots_.end() ? none : found->second;
}

}  // namespace lariat::sim
