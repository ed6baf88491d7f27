// SPDX-License-Identifier: Apache-2.0
#include "sim/steps.h"

#include <fmt/format.h>

#include <array>

namespace lariat::sim {

using membership::ChangeKind;

namespace {

constexpr std::array kKinds = {ChangeKind::kJoin,     ChangeKind::kLeave,
                               ChangeKind::kRemove,   ChangeKind::kReplace,
                               ChangeKind::kReweight, ChangeKind::kReplication};

std::string Impossible(const Strike& strike) {
  if (strike.kind != ChangeKind::kReplication) return "";
  if (strike.role == kSubject) return "it is about no node";
  if (strike.role == kBystander) return "every member gives or gains";
  return "";
}

std::map<std::string, std::string> ChoicesOf(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kJoin:
      return {{"joins", "1"}};
    case ChangeKind::kLeave:
      return {{"leaves", "1"}};
    case ChangeKind::kRemove:
      return {{"removes", "1"}};
    case ChangeKind::kReplace:
      return {{"replaces", "1"}};
    case ChangeKind::kReweight:
      return {{"reweights", "1"}, {"vnodes", "2"}, {"nodes", "16"}};
    case ChangeKind::kReplication:
      return {{"nodes", "5"}, {"n", "2"}, {"n_later", "3"}};
  }
  return {};
}

Scenario ScenarioOf(const Strike& strike) {
  Scenario scenario;
  scenario.name =
      fmt::format("{}-{}-{}", KindName(strike.kind), StepName(strike.step), RoleName(strike.role));
  scenario.about = "One cell of the table of steps and participants.";
  scenario.choices = ChoicesOf(strike.kind);
  // So many machines that some have nothing to do with a range that moves.
  const std::map<std::string, std::string> all = {
      {"nodes", "8"},         {"shards", "1"},         {"vnodes", "1"},
      {"keys", "25"},         {"clients", "3"},        {"think_ms", "8|25"},
      {"gossip_ms", "40"},    {"drive_ms", "300"},     {"changes_within_ms", "100"},
      {"down_ms", "100|500"}, {"duration_ms", "6000"}, {"delay_us", "30|200"},
      {"sync_us", "40|300"},
  };
  scenario.choices.insert(all.begin(), all.end());
  if (strike.kind == ChangeKind::kReplication && strike.step == Step::kAfter) {
    // After it only fewer replicas leave something to be removed.
    scenario.choices["n"] = "3";
    scenario.choices["n_later"] = "2";
  }
  scenario.choices["strike_step"] = std::to_string(static_cast<int>(strike.step));
  scenario.choices["strike_role"] = std::to_string(strike.role);
  return scenario;
}

Cell MakeCell(const Strike& strike) {
  Cell cell{strike, Impossible(strike), {}};
  if (cell.impossible.empty()) cell.scenario = ScenarioOf(strike);
  return cell;
}

// The node that is removed is dead: what can happen to it is that it comes back.
bool ComesBack(const Strike& strike) {
  return strike.kind == ChangeKind::kRemove && strike.role == kSubject;
}

}  // namespace

std::string Cell::Happened() const {
  return std::string(kStrikes) + StrikeName(strike, ComesBack(strike) ? "start" : "kill");
}

const std::vector<Cell>& Cells() {
  static const std::vector<Cell> cells = [] {
    std::vector<Cell> all;
    for (const ChangeKind kind : kKinds) {
      for (uint64_t step = 1; step <= kSteps; ++step) {
        for (uint64_t role = 0; role < kRoles; ++role) {
          all.push_back(MakeCell({kind, static_cast<Step>(step), role}));
        }
      }
    }
    return all;
  }();
  return cells;
}

std::string CellsTable() {
  std::string text = "| change | step |";
  for (uint64_t role = 0; role < kRoles; ++role) text += fmt::format(" {} |", RoleName(role));
  text += "\n|---|---|---|---|---|---|";
  for (const Cell& cell : Cells()) {
    const Strike& strike = cell.strike;
    if (strike.role == 0) {
      text += fmt::format("\n| {} | {} |", KindName(strike.kind), StepName(strike.step));
    }
    const std::string_view what = ComesBack(strike) ? "comes back" : "killed";
    text += fmt::format(" {} |", cell.impossible.empty() ? what : "no: " + cell.impossible);
  }
  return text + "\n";
}

}  // namespace lariat::sim
