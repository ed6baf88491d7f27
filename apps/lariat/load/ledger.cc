// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace lariat::cli::load {

namespace {

base::Status FileTrouble(const std::string& path, std::string_view what) {
  return base::Fail(base::Code::kInvalidArgument, fmt::format("{}: {}", path, what));
}

}  // namespace

void Ledger::Acknowledge(uint64_t key, uint64_t number) {
  entries_[key].acknowledged = std::max(entries_[key].acknowledged, number);
}

Ledger::Verdict Ledger::JudgeAbsent(uint64_t key) const {
  return entries_[key].acknowledged == 0 ? Verdict::kRight : Verdict::kLost;
}

Ledger::Verdict Ledger::Judge(uint64_t key, std::optional<uint64_t> shown) const {
  const Entry& entry = entries_[key];
  if (!shown || *shown == 0 || *shown > entry.put) return Verdict::kWrong;
  return *shown < entry.acknowledged ? Verdict::kLost : Verdict::kRight;
}

base::Status Ledger::Load(const std::string& path) {
  if (!std::filesystem::exists(path)) return {};
  std::ifstream in(path, std::ios::binary);
  const auto bytes = static_cast<std::streamsize>(entries_.size() * sizeof(Entry));
  in.read(reinterpret_cast<char*>(entries_.data()), bytes);
  if (in.gcount() != bytes || in.peek() != std::ifstream::traits_type::eof()) {
    return FileTrouble(path, "is no ledger of so many keys");
  }
  return {};
}

base::Status Ledger::Save(const std::string& path) const {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(entries_.data()),
            static_cast<std::streamsize>(entries_.size() * sizeof(Entry)));
  out.close();
  if (!out) return FileTrouble(path, "cannot be written");
  return {};
}

}  // namespace lariat::cli::load
