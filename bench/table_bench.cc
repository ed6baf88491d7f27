// SPDX-License-Identifier: Apache-2.0
// The table of storage/table, one operation at a time, beside the containers of the standard
// library: records of 500 bytes under keys of 12 bytes with bucket and token before them, in random
// order. Argument: records. `--benchmark_filter=` picks some. Instructions, where the machine does
// not count them: valgrind --tool=callgrind
// --toggle-collect='lariat::storage::table::Table::Find*'.
#include <benchmark/benchmark.h>

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "storage/record.h"
#include "storage/table/table.h"

namespace lariat::bench {
namespace {

using storage::table::Found;
using storage::table::Table;
using storage::table::VersionRef;

constexpr size_t kValueBytes = 500;
constexpr size_t kRoomy = size_t{4} << 30;

// The keys of so many records, in the order in which they are asked for.
std::vector<std::string> MakeKeys(int64_t records) {
  std::vector<std::string> keys;
  base::Prng random(1);
  for (int64_t i = 0; i < records; ++i) {
    std::string name = "key-" + std::to_string(i);
    name.resize(12, '.');
    keys.push_back(storage::DataKey(1, random.Next(), name));
  }
  for (size_t i = keys.size(); i > 1; --i) std::swap(keys[i - 1], keys[random.Below(i)]);
  return keys;
}

// One of them after the other, for ever.
class Round {
 public:
  explicit Round(int64_t records) : keys_(MakeKeys(records)) {}
  const std::string& Next() {
    if (++at_ >= keys_.size()) at_ = 0;
    return keys_[at_];
  }
  const std::vector<std::string>& keys() const { return keys_; }

 private:
  std::vector<std::string> keys_;
  size_t at_ = 0;
};

std::string Value() { return std::string(kValueBytes, 'v'); }

// A fixed number of rounds: finding one out would fill a million records again and again.
void PointCases(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t records : {10'000, 1'000'000}) benchmark->Arg(records);
  benchmark->Iterations(1'000'000);
}

// A table that has all records.
struct Filled {
  explicit Filled(const Round& round) : table({{}, kRoomy, kRoomy}) {
    for (const std::string& key : round.keys()) table.Put(key, Value(), ++lsn);
  }
  uint64_t lsn = 0;
  Table table;
};

void TableGet(benchmark::State& state) {
  Round round(state.range(0));
  Filled filled(round);
  for (auto _ : state) benchmark::DoNotOptimize(filled.table.Find(round.Next()));
}
BENCHMARK(TableGet)->Apply(PointCases);

// As a reply that is sent later: held, its first and last bytes read, dropped.
void TableGetAndHold(benchmark::State& state) {
  Round round(state.range(0));
  Filled filled(round);
  for (auto _ : state) {
    const VersionRef held(filled.table.Find(round.Next()).version);
    benchmark::DoNotOptimize(held->bytes().front() + held->bytes().back());
  }
}
BENCHMARK(TableGetAndHold)->Apply(PointCases);

void TableGetAndPut(benchmark::State& state) {
  Round round(state.range(0));
  Filled filled(round);
  const std::string value = Value();
  for (auto _ : state) {
    const std::string& key = round.Next();
    benchmark::DoNotOptimize(filled.table.Find(key));
    filled.table.Put(key, value, ++filled.lsn);
  }
}
BENCHMARK(TableGetAndPut)->Apply(PointCases);

// A miss that fills, with as many evicted: a tenth of the records fit.
void TableMissAndFill(benchmark::State& state) {
  Round round(state.range(0));
  Table table({{}, static_cast<size_t>(state.range(0)) * 60, kRoomy});
  const std::string value = Value();
  for (auto _ : state) {
    const std::string& key = round.Next();
    const Found found = table.Find(key);
    if (found.version == nullptr) {
      table.Fill(storage::table::Version::Record(key, value), found.token);
    }
  }
}
BENCHMARK(TableMissAndFill)->Apply(PointCases);

// For each record of a whole pass, in parts of a thousand.
void TableScan(benchmark::State& state) {
  Round round(state.range(0));
  Filled filled(round);
  for (auto _ : state) {
    for (std::optional<std::string> from = ""; from;) {
      Table::Part part = filled.table.Scan(*from, "", Table::Which::kAll, {1000, kRoomy});
      benchmark::DoNotOptimize(part.versions.data());
      from = std::move(part.next);
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(TableScan)->Arg(10'000)->Iterations(200);
BENCHMARK(TableScan)->Arg(1'000'000)->Iterations(4);

// --- the yardsticks ----------------------------------------------------------------------------

using Unordered = std::unordered_map<std::string, std::string>;
using Ordered = std::map<std::string, std::string>;

template <typename Map>
Map MakeMap(const Round& round) {
  Map map;
  for (const std::string& key : round.keys()) map[key] = Value();
  return map;
}

template <typename Map>
void MapGet(benchmark::State& state) {
  Round round(state.range(0));
  Map map = MakeMap<Map>(round);
  for (auto _ : state) benchmark::DoNotOptimize(map.find(round.Next()));
}
BENCHMARK(MapGet<Unordered>)->Apply(PointCases);
BENCHMARK(MapGet<Ordered>)->Apply(PointCases);

template <typename Map>
void MapGetAndPut(benchmark::State& state) {
  Round round(state.range(0));
  Map map = MakeMap<Map>(round);
  const std::string value = Value();
  for (auto _ : state) {
    const std::string& key = round.Next();
    benchmark::DoNotOptimize(map.find(key));
    map[key] = std::string(value);  // a new block, as a version that others may hold has to be
  }
}
BENCHMARK(MapGetAndPut<Unordered>)->Apply(PointCases);
BENCHMARK(MapGetAndPut<Ordered>)->Apply(PointCases);

void MapScan(benchmark::State& state) {
  Round round(state.range(0));
  const auto map = MakeMap<Ordered>(round);
  for (auto _ : state) {
    for (const auto& [key, value] : map) benchmark::DoNotOptimize(key.size() + value.front());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(MapScan)->Arg(10'000)->Iterations(200);
BENCHMARK(MapScan)->Arg(1'000'000)->Iterations(4);

}  // namespace
}  // namespace lariat::bench

BENCHMARK_MAIN();
