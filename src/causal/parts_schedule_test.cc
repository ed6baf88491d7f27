// SPDX-License-Identifier: Apache-2.0
// A set kept and sent in parts: a history, and each element's live dots apart from the others. The
// rule that joins them is the same (dotted.h), but parts arrive one by one, deltas are lost and
// overtake each other, and a copy by pages may be cut. Three rules keep every addition that nobody
// removed; each of them, broken, loses elements within a few hundred schedules:
//
//   a delta tells of its own dots alone, new and removed, and of no history beside them
//   one dot for each element, however many an operation adds
//   a copy by pages reads the source's history before the first page, adds what each page shows,
//   and the whole of it only after the last page
#include <gtest/gtest.h>

#include <set>

#include "causal/causal_test_util.h"
#include "causal/dotted.h"

namespace lariat::causal {
namespace {

enum class Rule { kNone, kDeltaTellsItsDots, kDotPerElement, kHistoryFirst };  // the broken one

struct Parts {
  DotSet history;
  std::map<std::string, std::vector<Dot>> elements;
};
struct Item {
  std::string element;
  std::optional<Dot> added;
  std::vector<Dot> removed;
};
struct Delta {
  size_t to = 0;
  std::vector<Item> items;
  DotSet history;  // only where the rule is broken
};

class Schedule {
 public:
  Schedule(uint64_t seed, Rule broken) : prng_(seed), broken_(broken) {}

  // How many additions that nobody removed are not everywhere in the end.
  size_t Run() {
    for (int step = 0; step < 60; ++step) {
      const uint64_t dice = prng_.Below(100);
      if (dice < 35) {
        Add(prng_.Below(3));
      } else if (dice < 50) {
        Remove(prng_.Below(3));
      } else if (dice < 80 && !mail_.empty()) {
        Deliver();
      } else {
        Copy();
      }
    }
    for (int round = 0; round < 4; ++round) {
      for (size_t from = 0; from < 3; ++from) {
        for (size_t to = 0; to < 3; ++to) {
          if (from != to) CopyPages(from, to, kPages.size(), false);
        }
      }
    }
    size_t lost = 0;
    for (const auto& [element, dots] : added_) {
      const bool lives = std::any_of(dots.begin(), dots.end(), [&](const Dot& dot) {
        return !removed_.contains({element, dot});
      });
      for (const Parts& replica : replicas_) lost += lives && !replica.elements.contains(element);
    }
    return lost;
  }

 private:
  static constexpr std::array<std::string_view, 3> kPages = {"abc", "def", "gh"};

  std::string Element() { return std::string(1, static_cast<char>('a' + prng_.Below(8))); }

  Dot Take(size_t at) {
    Parts& here = replicas_[at];
    const Actor actor = MakeActor(at + 1);
    const Dot dot{actor, here.history.Max(actor) + 1};
    here.history.Add(dot);
    return dot;
  }

  Item AddOne(size_t at, const std::string& element, const Dot& dot) {
    Parts& here = replicas_[at];
    Item item{element, dot, here.elements[element]};
    for (const Dot& old : item.removed) removed_.insert({element, old});
    added_[element].insert(dot);
    here.elements[element] = {dot};
    return item;
  }

  void Add(size_t at) {
    std::set<std::string> named;
    for (uint64_t n = prng_.Chance(0.3) ? 3 : 1; n > 0; --n) named.insert(Element());
    std::vector<Item> items;
    std::optional<Dot> shared;
    for (const std::string& element : named) {
      if (!shared || broken_ != Rule::kDotPerElement) shared = Take(at);
      items.push_back(AddOne(at, element, *shared));
    }
    Post(at, items);
  }

  void Remove(size_t at) {
    Parts& here = replicas_[at];
    if (here.elements.empty()) return;
    auto victim = here.elements.begin();
    std::advance(victim, static_cast<std::ptrdiff_t>(prng_.Below(here.elements.size())));
    for (const Dot& old : victim->second) removed_.insert({victim->first, old});
    const Item item{victim->first, std::nullopt, victim->second};
    here.elements.erase(victim);
    Post(at, {item});
  }

  void Post(size_t from, const std::vector<Item>& items) {
    const bool tells_all = broken_ == Rule::kDeltaTellsItsDots;
    for (size_t to = 0; to < 3; ++to) {
      if (to == from) continue;
      mail_.push_back({to, items, tells_all ? replicas_[from].history : DotSet{}});
    }
  }

  void Deliver() {
    const auto at = mail_.begin() + static_cast<std::ptrdiff_t>(prng_.Below(mail_.size()));
    const Delta delta = *at;
    mail_.erase(at);
    if (prng_.Chance(0.35)) return;
    Parts& here = replicas_[delta.to];
    DotSet told = delta.history;
    for (const Item& item : delta.items) {
      DotSet of_item;
      for (const Dot& dot : item.removed) of_item.Add(dot);
      std::vector<Dot> live;
      if (item.added) {
        of_item.Add(*item.added);
        live = {*item.added};
      }
      JoinOne(item.element, live, of_item, &here);
      told.Join(of_item);
    }
    here.history.Join(told);
  }

  static void JoinOne(const std::string& element, const std::vector<Dot>& theirs,
                      const DotSet& their_history, Parts* here) {
    std::vector<Dot>& mine = here->elements[element];
    JoinDotted(&mine, theirs, here->history, their_history, [](const Dot& dot) { return dot; });
    if (mine.empty()) here->elements.erase(element);
  }

  void Copy() {
    const size_t from = prng_.Below(3);
    const size_t to = (from + 1 + prng_.Below(2)) % 3;
    const size_t pages = prng_.Chance(0.4) ? 1 + prng_.Below(2) : kPages.size();
    CopyPages(from, to, pages, true);
  }

  void CopyPages(size_t from, size_t to, size_t pages, bool changes_meanwhile) {
    Parts& here = replicas_[to];
    const DotSet first = replicas_[from].history;
    for (size_t page = 0; page < pages; ++page) {
      if (changes_meanwhile && prng_.Chance(0.3)) AddOne(from, Element(), Take(from));
      DotSet shown;
      for (const char name : kPages[page]) {
        const std::string element(1, name);
        const auto at = replicas_[from].elements.find(element);
        const auto live = at == replicas_[from].elements.end() ? std::vector<Dot>() : at->second;
        JoinOne(element, live, first, &here);
        for (const Dot& dot : live) shown.Add(dot);
      }
      here.history.Join(shown);
    }
    if (pages < kPages.size()) return;
    here.history.Join(broken_ == Rule::kHistoryFirst ? replicas_[from].history : first);
  }

  base::Prng prng_;
  Rule broken_;
  std::array<Parts, 3> replicas_;
  std::vector<Delta> mail_;
  std::map<std::string, std::set<Dot>> added_;
  std::set<std::pair<std::string, Dot>> removed_;
};

size_t SchedulesWithLoss(Rule broken, uint64_t schedules) {
  size_t found = 0;
  for (uint64_t seed = 0; seed < schedules; ++seed) found += Schedule(seed, broken).Run() > 0;
  return found;
}

// Guards M1, M7.
TEST(PartsSchedules, LoseNoElementThatNobodyRemoved) {
  EXPECT_EQ(SchedulesWithLoss(Rule::kNone, 20'000), 0U);
}

// Guards M45.
TEST(PlantedInParts, ADeltaWithTheWholeHistoryIsFound) {
  EXPECT_GT(SchedulesWithLoss(Rule::kDeltaTellsItsDots, 300), 0U);
}

// Guards M7, M45.
TEST(PlantedInParts, OneDotForSeveralElementsIsFound) {
  EXPECT_GT(SchedulesWithLoss(Rule::kDotPerElement, 300), 0U);
}

// Guards M45.
TEST(PlantedInParts, ACopyThatReadsTheHistoryLastIsFound) {
  EXPECT_GT(SchedulesWithLoss(Rule::kHistoryFirst, 300), 0U);
}

}  // namespace
}  // namespace lariat::causal
