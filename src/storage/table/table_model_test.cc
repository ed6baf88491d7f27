// SPDX-License-Identifier: Apache-2.0
// A table beside two maps: what the files have, and what was written since. Bursts of operations
// on keys of every shape, with flushes that end either way, fills that come late, budgets that
// change and a log that fails; after each burst everything is compared and recounted.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <ostream>
#include <vector>

#include "storage/table/table.h"
#include "storage/table/table_test_util.h"

namespace lariat::storage::table {

enum class Kind : uint8_t {
  kPut,
  kRemove,
  kFind,
  kBeginRead,
  kEndRead,
  kBeginFlush,
  kNextToFlush,
  kEndFlush,
  kFailFlush,
  kScan,
  kBudget,
  kFail,
};

// One burst: `count` keys from `key` on.
struct Op {
  Kind kind = Kind::kPut;
  uint16_t key = 0;
  uint8_t count = 0;
  uint8_t stride = 0;
  uint32_t size = 0;  // of values; also chooses budgets and limits
};

void showValue(const Op& op, std::ostream& out) {  // NOLINT: rapidcheck's name
  constexpr const char* kNames[] = {"put",        "remove",      "find",   "begin-read",
                                    "end-read",   "begin-flush", "next",   "end-flush",
                                    "fail-flush", "scan",        "budget", "fail"};
  out << kNames[static_cast<size_t>(op.kind)] << "(" << op.key << " x" << int{op.count} << " +"
      << int{op.stride} << ", " << op.size << ")";
}

namespace {

using Value = std::optional<std::string>;  // nothing: there is no record

Value ValueOf(const Version& version) {
  if (version.absent()) return std::nullopt;
  return std::string(version.bytes());
}

class Model {
 public:
  Model(Shape shape, const TableOptions& options)
      : shape_(shape), options_(options), table_(options) {}

  void Do(const Op& op) {
    for (int i = 0; i < std::max<int>(1, op.count); ++i) {
      DoOne(op, KeyOf(shape_, (op.key + uint64_t{op.stride} * static_cast<uint64_t>(i)) % 400));
    }
    Check();
  }
  uint64_t fills() const { return fills_; }

 private:
  struct Last {
    Value value;
    uint64_t lsn = 0;
    bool operator==(const Last&) const = default;
  };
  struct Read {
    std::string key;
    ReadToken token;
    Value value;
  };
  struct Held {
    VersionRef version;
    std::string key;
    Value value;
  };

  void DoOne(const Op& op, const std::string& key) {
    switch (op.kind) {
      case Kind::kPut:
        return Write(key, std::string(op.size, static_cast<char>('a' + lsn_ % 26)));
      case Kind::kRemove:
        return Write(key, std::nullopt);
      case Kind::kFind:
        return Find(key);
      case Kind::kBeginRead:
        return BeginRead(key);
      case Kind::kEndRead:
        return EndRead(op.size);
      case Kind::kBeginFlush:
        return BeginFlush();
      case Kind::kNextToFlush:
        return NextToFlush(op.size % 50 + 1);
      case Kind::kEndFlush:
        return EndFlush(true);
      case Kind::kFailFlush:
        return EndFlush(false);
      case Kind::kScan:
        return Scan(op);
      case Kind::kBudget:
        return SetBudget(op.size * 100 + 2000);
      case Kind::kFail:
        return Fail(op.size);
    }
  }

  Value Stored(const std::string& key) const {
    const auto found = files_.find(key);
    return found == files_.end() ? Value() : found->second;
  }
  Value Newest(const std::string& key) const {
    const auto found = last_.find(key);
    return found == last_.end() ? Stored(key) : found->second.value;
  }
  bool IsLost(const std::string& key) const {
    const auto found = last_.find(key);
    return found != last_.end() && found->second.lsn > kept_;
  }
  bool failed() const { return kept_ != UINT64_MAX; }

  void Write(const std::string& key, const Value& value) {
    if (failed()) return;
    ++writes_;
    if (lsn_ <= flush_lsn_ || writes_ % 3 != 0) lsn_ += 1 + writes_ % 2;  // some share one
    last_[key] = {value, lsn_};
    const bool has_room = table_.HasRoom({1, key.size() + (value ? value->size() : 0)});
    value ? table_.Put(key, *value, lsn_) : table_.Remove(key, lsn_);
    const Found found = table_.Find(key);
    const bool known = found.version != nullptr;
    RC_ASSERT(known);
    RC_ASSERT(ValueOf(*found.version) == value);
    RC_ASSERT(found.version->digest() == nullptr);
    if (has_room) RC_ASSERT(table_.Stats().unflushed_bytes <= options_.unflushed_bytes);
  }

  void Find(const std::string& key) {
    const Found found = table_.Find(key);
    RC_ASSERT((found.known == Known::kLost) == IsLost(key));
    if (found.known == Known::kLost) return;
    const auto last = last_.find(key);
    if (last != last_.end()) RC_ASSERT(found.known != Known::kUnknown);
    // Whoever is sent to the files finds the newest there.
    if (found.known == Known::kUnknown) return RC_ASSERT(Stored(key) == Newest(key));
    RC_ASSERT((found.known == Known::kAbsent) == found.version->absent());
    RC_ASSERT(ValueOf(*found.version) == Newest(key));
    RC_ASSERT(found.version->key() == key);
    if (last != last_.end()) RC_ASSERT(found.version->lsn() == last->second.lsn);
    found.version->SetDigest({lsn_, 1});
    held_.push_back({VersionRef(found.version), key, Newest(key)});
    if (held_.size() > 20) held_.pop_front();
  }

  void BeginRead(const std::string& key) {
    const Found found = table_.Find(key);
    if (found.known == Known::kUnknown) reads_.push_back({key, found.token, Stored(key)});
  }
  void EndRead(uint32_t choice) {
    if (reads_.empty()) return;
    const auto at = reads_.begin() + static_cast<ptrdiff_t>(choice % reads_.size());
    const Read read = *at;
    reads_.erase(at);
    VersionRef version =
        read.value ? Version::Record(read.key, *read.value) : Version::Absent(read.key);
    if (table_.Fill(std::move(version), read.token)) ++fills_;
    Find(read.key);
  }

  void BeginFlush() {
    if (flush_ || failed()) return;
    flush_ = last_;
    flush_lsn_ = lsn_;
    flushed_.clear();
    all_flushed_ = false;
    table_.BeginFlush(lsn_);
    RC_ASSERT(table_.flushing());
  }
  void NextToFlush(size_t slots) {
    if (flush_) all_flushed_ = !table_.NextToFlush(slots, &flushed_);
  }
  void EndFlush(bool ok) {
    if (!flush_) return;
    while (ok && !all_flushed_) NextToFlush(17);
    if (all_flushed_) {
      RC_ASSERT(flushed_.size() == flush_->size());
      auto at = flushed_.begin();
      for (const auto& [key, last] : *flush_) {
        RC_ASSERT((*at)->key() == key);
        RC_ASSERT(ValueOf(**at++) == last.value);
      }
    }
    table_.EndFlush(ok);
    if (ok && flush_lsn_ <= kept_) TakeFlushed();
    flush_.reset();
  }
  void TakeFlushed() {
    for (const auto& [key, last] : *flush_) {
      last.value ? void(files_[key] = *last.value) : void(files_.erase(key));
      if (last_[key] == last) last_.erase(key);
    }
  }

  // One step of somebody who goes over everything while it changes.
  void Scan(const Op& op) {
    const auto which = op.stride % 2 == 0 ? Table::Which::kAll : Table::Which::kUnflushed;
    const std::string to = op.stride % 8 == 0 ? KeyOf(shape_, op.key % 400) : "";
    if (!to.empty() && scan_from_ >= to) scan_from_.clear();
    const Table::Part part = table_.Scan(scan_from_, to, which, {op.size % 40 + 1U, op.size + 1});
    CheckPart(part, scan_from_, part.next ? *part.next : to, which);
    scan_from_ = part.next.value_or("");
  }
  void CheckPart(const Table::Part& part, const std::string& from, const std::string& end,
                 Table::Which which) {
    auto expected = last_.lower_bound(from);
    bool lost = false;
    const auto pass_lost = [&] {
      while (expected != last_.end() && (end.empty() || expected->first < end) &&
             IsLost(expected->first)) {
        lost = true;
        ++expected;
      }
    };
    for (const VersionRef& version : part.versions) {
      pass_lost();
      const std::string key(version->key());
      RC_ASSERT(key >= from);
      const bool inside = end.empty() || key < end;
      RC_ASSERT(inside);
      RC_ASSERT(ValueOf(*version) == Newest(key));
      const bool is_next = expected != last_.end() && expected->first == key;
      if (which == Table::Which::kUnflushed) RC_ASSERT(is_next);
      if (is_next) ++expected;
    }
    pass_lost();
    const bool none_left = expected == last_.end() || (!end.empty() && expected->first >= end);
    RC_ASSERT(none_left);
    RC_ASSERT(part.lost == lost);
  }

  void SetBudget(size_t budget) {
    options_.budget_bytes = budget;
    options_.unflushed_bytes = budget / 2;
    table_.SetBudget(budget, budget / 2);
  }

  void Fail(uint32_t choice) {
    if (choice % 16 != 0) return;  // it ends all writing: seldom
    kept_ = std::min(kept_, lsn_ - std::min<uint64_t>(lsn_, choice % 60));
    table_.Fail(kept_);
  }

  void Check() {
    RC_ASSERT(Audit(table_.index()).Run() == "");
    const Table::Limits limits{1000, size_t{1} << 30};
    const Table::Part all = table_.Scan("", "", Table::Which::kAll, limits);
    const Table::Part unflushed = table_.Scan("", "", Table::Which::kUnflushed, limits);
    CheckPart(all, "", "", Table::Which::kAll);
    CheckPart(unflushed, "", "", Table::Which::kUnflushed);
    for (const auto& [version, key, value] : held_) {
      RC_ASSERT(version->key() == key);
      RC_ASSERT(ValueOf(*version) == value);
      RC_ASSERT(version->digest() != nullptr);
    }
    if (!failed()) CheckCounts(all, unflushed);
  }
  void CheckCounts(const Table::Part& all, const Table::Part& unflushed) {
    const TableStats stats = table_.Stats();
    size_t bytes = 0, absent = 0, dirty = 0;
    for (const VersionRef& version : all.versions) {
      bytes += version->charge();
      if (version->absent()) absent += version->charge();
    }
    for (const VersionRef& version : unflushed.versions) dirty += version->charge();
    RC_ASSERT(stats.entries == all.versions.size());
    RC_ASSERT(stats.absent_bytes == absent);
    RC_ASSERT(stats.bytes == bytes + stats.index_bytes + stats.replaced_bytes);
    RC_ASSERT(stats.unflushed_bytes == dirty + stats.replaced_bytes);
    const bool replaced = flush_ && PinnedAndReplaced();
    RC_ASSERT((stats.replaced_bytes > 0) == replaced);
    // Above the budget there is nothing that could go.
    if (stats.bytes > options_.budget_bytes) RC_ASSERT(bytes == dirty);
  }
  bool PinnedAndReplaced() const {
    return std::any_of(flush_->begin(), flush_->end(), [this](const auto& pinned) {
      return last_.at(pinned.first) != pinned.second;
    });
  }

  const Shape shape_;
  TableOptions options_;
  Table table_;
  std::map<std::string, std::string> files_;
  std::map<std::string, Last> last_;  // writes that the files do not have
  std::optional<std::map<std::string, Last>> flush_;
  std::vector<VersionRef> flushed_;
  bool all_flushed_ = false;
  uint64_t flush_lsn_ = 0;  // of the last that began
  std::vector<Read> reads_;
  std::deque<Held> held_;
  std::string scan_from_;
  uint64_t lsn_ = 0, kept_ = UINT64_MAX, fills_ = 0, writes_ = 0;
};

rc::Gen<Op> AnyOp() {
  const auto kinds = rc::gen::weightedElement<Kind>({{14, Kind::kPut},
                                                     {5, Kind::kRemove},
                                                     {6, Kind::kFind},
                                                     {9, Kind::kBeginRead},
                                                     {9, Kind::kEndRead},
                                                     {5, Kind::kBeginFlush},
                                                     {4, Kind::kNextToFlush},
                                                     {6, Kind::kEndFlush},
                                                     {1, Kind::kFailFlush},
                                                     {5, Kind::kScan},
                                                     {4, Kind::kBudget},
                                                     {1, Kind::kFail}});
  const auto sizes =
      rc::gen::oneOf(rc::gen::inRange<uint32_t>(0, 100), rc::gen::inRange<uint32_t>(0, 800),
                     rc::gen::inRange<uint32_t>(0, 5000));
  return rc::gen::build<Op>(
      rc::gen::set(&Op::kind, kinds), rc::gen::set(&Op::key, rc::gen::inRange<uint16_t>(0, 400)),
      rc::gen::set(&Op::count, rc::gen::inRange<uint8_t>(0, 60)),
      rc::gen::set(&Op::stride, rc::gen::inRange<uint8_t>(0, 10)), rc::gen::set(&Op::size, sizes));
}

class TableModel : public testing::TestWithParam<Shape> {};

TEST_P(TableModel, IsTwoMaps) {
  uint64_t fills = 0;
  EXPECT_TRUE(rc::check([&] {
    const auto ops = *rc::gen::scale(2, rc::gen::container<std::vector<Op>>(AnyOp()));
    Model model(GetParam(), {{}, 200'000, 100'000});
    for (const Op& op : ops) model.Do(op);
    fills += model.fills();
  }));
  EXPECT_GT(fills, 100U);  // they do not lose all the time
}

INSTANTIATE_TEST_SUITE_P(All, TableModel, testing::ValuesIn(kShapes));

}  // namespace
}  // namespace lariat::storage::table
