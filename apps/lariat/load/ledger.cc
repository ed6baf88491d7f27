// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "apps/lariat/load/keys.h"
#include "base/check.h"

namespace lariat::cli::load {

namespace {

constexpr size_t kNumberDigits = 16;
static_assert(Ledger::kMarkBytes == kKeyTextBytes + 1 + kNumberDigits);

base::Status FileTrouble(const std::string& path, std::string_view what) {
  return base::Fail(base::Code::kInvalidArgument, fmt::format("{}: {}", path, what));
}

}  // namespace

uint64_t Ledger::Mark(uint64_t key, std::string* value) {
  LARIAT_CHECK(value->size() >= kMarkBytes, "a value is too short for its mark");
  const uint64_t number = ++entries_[key].put;
  WriteKey(key, value->data());
  fmt::format_to(value->data() + kKeyTextBytes, ":{:016x}", number);
  return number;
}

void Ledger::Acknowledge(uint64_t key, uint64_t number) {
  entries_[key].acknowledged = std::max(entries_[key].acknowledged, number);
}

Ledger::Verdict Ledger::JudgeAbsent(uint64_t key) const {
  return entries_[key].acknowledged == 0 ? Verdict::kRight : Verdict::kLost;
}

Ledger::Verdict Ledger::Judge(uint64_t key, std::string_view found,
                              std::string_view pattern) const {
  if (found.size() != pattern.size() || found.size() < kMarkBytes) return Verdict::kWrong;
  if (found.substr(kMarkBytes) != pattern.substr(kMarkBytes)) return Verdict::kWrong;
  if (found.substr(0, kKeyTextBytes) != KeyText(key)) return Verdict::kWrong;
  uint64_t number = 0;
  const char* digits = found.data() + kKeyTextBytes + 1;
  const auto read = std::from_chars(digits, digits + kNumberDigits, number, 16);
  if (found[kKeyTextBytes] != ':' || read.ptr != digits + kNumberDigits) return Verdict::kWrong;
  if (number == 0 || number > entries_[key].put) return Verdict::kWrong;
  return number < entries_[key].acknowledged ? Verdict::kLost : Verdict::kRight;
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
