// SPDX-License-Identifier: Apache-2.0
#include "coordinator/plan.h"

#include <algorithm>
#include <string>
#include <utility>

namespace lariat::coordinator {
namespace {

bool Contains(const std::vector<ring::NodeIndex>& nodes, ring::NodeIndex node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// The lists of each node of lineup->nodes, which are those of the read list, and the rest of the
// move list behind them.
void AddMoveList(const Target& target, Lineup* lineup) {
  const auto& other = target.replicas.other;
  for (const ring::NodeIndex node : lineup->nodes) {
    lineup->sets.push_back(Contains(other, node) ? kInBoth : kInRead);
  }
  for (const ring::NodeIndex node : other) {
    if (Contains(target.replicas.read, node)) continue;
    lineup->nodes.push_back(node);
    lineup->sets.push_back(kInMove);
  }
}

void AddUsable(const Target& target, const ReplicaPort& replicas, Lineup* lineup) {
  lineup->usable.reserve(lineup->nodes.size());
  for (const ring::NodeIndex node : lineup->nodes) {
    lineup->usable.push_back(replicas.IsAlive(*target.view, node));
  }
}

void OrderByPreference(const Target& target, const ReplicaPort& replicas, Lineup* lineup) {
  const ring::NodeIndex self = target.view->self;
  const auto rank = [&](ring::NodeIndex node) {
    const bool read = Contains(target.replicas.read, node);
    const int list = read && Contains(target.replicas.other, node) ? 0 : (read ? 1 : 2);
    const int favour = node == self ? 0 : (replicas.IsPreferred(*target.view, node) ? 1 : 2);
    return std::pair(list, favour);
  };
  std::stable_sort(lineup->nodes.begin(), lineup->nodes.end(),
                   [&rank](ring::NodeIndex a, ring::NodeIndex b) { return rank(a) < rank(b); });
  for (size_t i = 0; i < lineup->sets.size(); ++i) {
    const int list = rank(lineup->nodes[i]).first;
    lineup->sets[i] = list == 0 ? kInBoth : (list == 1 ? kInRead : kInMove);
  }
}

base::Status CheckAliveIn(const std::vector<ring::NodeIndex>& list, const Target& target,
                          const ReplicaPort& replicas, Demand demand,
                          const std::vector<ring::NodeIndex>& stood_for) {
  uint32_t primaries = 0;
  uint32_t alive = 0;
  for (const ring::NodeIndex node : list) {
    const bool lives = replicas.IsAlive(*target.view, node);
    primaries += lives ? 1 : 0;
    const bool held = lives || Contains(stood_for, node);
    alive += held ? 1 : 0;
  }
  const bool of_primaries = alive >= demand.nodes;
  if (of_primaries && primaries >= demand.primaries) return {};
  base::Error error{base::Code::kInsufficientReplicas, "",
                    of_primaries ? demand.primaries : demand.nodes,
                    of_primaries ? primaries : alive};
  error.message = "too few replicas are alive for the consistency asked: needed " +
                  std::to_string(error.needed) + (of_primaries ? " primaries" : "") + ", alive " +
                  std::to_string(error.alive);
  if (!stood_for.empty() && !of_primaries) error.message += ", stand-ins included";
  if (!target.replicas.other.empty()) {
    error.message += "; the key's range is moving, so its old and its new replicas count apart";
  } else if (list.size() < error.needed) {
    error.message += "; the cluster has only " + std::to_string(target.view->ring.size()) +
                     " node(s): a bucket with a smaller n would do";
  }
  return base::Fail(std::move(error));
}

}  // namespace

std::optional<Target> FindTarget(std::shared_ptr<const membership::View> view,
                                 const std::string& bucket, ring::Token token) {
  const membership::BucketProperties* properties = view->FindBucket(bucket);
  if (properties == nullptr) return std::nullopt;
  auto replicas = view->ReplicasOf(token, *properties);
  return Target{std::move(view), properties, token, std::move(replicas)};
}

Lineup WriteLineup(const Target& target, const ReplicaPort& replicas) {
  Lineup lineup;
  lineup.nodes = target.replicas.read;
  if (!target.replicas.other.empty()) AddMoveList(target, &lineup);
  AddUsable(target, replicas, &lineup);
  return lineup;
}

std::vector<ring::NodeIndex> FallbacksOf(const Target& target, const ReplicaPort& replicas) {
  const membership::View& view = *target.view;
  std::vector<ring::NodeIndex> fallbacks;
  for (const ring::NodeIndex node : view.ring.Fallbacks(target.token, 0)) {
    if (Contains(target.replicas.read, node) || Contains(target.replicas.other, node)) continue;
    // What a node keeps that is on its way out would have to move again.
    const bool stays = view.MemberAt(node).state == membership::MemberState::kNormal;
    if (stays && replicas.IsAlive(view, node)) fallbacks.push_back(node);
  }
  std::stable_partition(fallbacks.begin(), fallbacks.end(),
                        [&](ring::NodeIndex node) { return replicas.IsPreferred(view, node); });
  return fallbacks;
}

void AddFallbacks(const std::vector<ring::NodeIndex>& fallbacks, Lineup* lineup) {
  const auto in_read = [](ListSet set) { return (set & kInRead) != 0; };
  const auto& sets = lineup->sets;
  const auto at = sets.empty() ? static_cast<std::ptrdiff_t>(lineup->nodes.size())
                               : std::count_if(sets.begin(), sets.end(), in_read);
  lineup->nodes.insert(lineup->nodes.begin() + at, fallbacks.begin(), fallbacks.end());
  lineup->usable.insert(lineup->usable.begin() + at, fallbacks.size(), true);
  if (!sets.empty()) lineup->sets.insert(lineup->sets.begin() + at, fallbacks.size(), kInRead);
}

Lineup ReadLineup(const Target& target, const ReplicaPort& replicas, bool with_move_list) {
  Lineup lineup;
  lineup.nodes = target.replicas.read;
  const bool moves = with_move_list && !target.replicas.other.empty();
  if (moves) AddMoveList(target, &lineup);
  const bool all_preferred =
      std::all_of(lineup.nodes.begin(), lineup.nodes.end(), [&](ring::NodeIndex node) {
        return node == target.view->self || replicas.IsPreferred(*target.view, node);
      });
  if (moves || !all_preferred) {
    OrderByPreference(target, replicas, &lineup);
  } else {
    const auto own = std::find(lineup.nodes.begin(), lineup.nodes.end(), target.view->self);
    if (own != lineup.nodes.end()) std::rotate(lineup.nodes.begin(), own, own + 1);
  }
  AddUsable(target, replicas, &lineup);
  return lineup;
}

base::Status CheckAlive(const Target& target, const ReplicaPort& replicas, Demand read,
                        Demand in_move, bool with_fallbacks) {
  const auto check = [&](const std::vector<ring::NodeIndex>& stood_for) {
    auto status = CheckAliveIn(target.replicas.read, target, replicas, read, stood_for);
    if (!status || target.replicas.other.empty()) return status;
    return CheckAliveIn(target.replicas.other, target, replicas, in_move, stood_for);
  };
  auto strictly = check({});
  if (strictly || !with_fallbacks) return strictly;
  // One node for each, in the order in which the operation will take them.
  const Lineup lineup = WriteLineup(target, replicas);
  const size_t fallbacks = FallbacksOf(target, replicas).size();
  std::vector<ring::NodeIndex> stood_for;
  for (size_t i = 0; i < lineup.nodes.size() && stood_for.size() < fallbacks; ++i) {
    if (!lineup.usable[i]) stood_for.push_back(lineup.nodes[i]);
  }
  return check(stood_for);
}

Version NameVersion(const std::map<uint64_t, uint64_t>& version, const membership::View& view) {
  Version named;
  for (const auto& [number, events] : version) {
    const auto found = view.by_number.find(number);
    const std::string name = found != view.by_number.end() ? view.MemberAt(found->second).name
                                                           : "former-" + std::to_string(number);
    named[name] += events;
  }
  return named;
}

}  // namespace lariat::coordinator
