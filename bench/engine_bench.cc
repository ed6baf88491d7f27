// SPDX-License-Identifier: Apache-2.0
// An engine alone, through storage::Engine, used as a shard uses it: one thread, the writes of one
// turn in one batch, one sync asked for them, `waiters` operations under way at once. One case per
// run; one line of JSON on standard output. With --wait it says "ready" after its preparations and
// starts when a line arrives, so that a profiler can be attached to the measured part alone.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/prng.h"
#include "storage/log_engine/log_engine.h"
#include "storage/record.h"
#include "telemetry/histogram.h"

namespace lariat::bench {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

struct Options {
  std::string what = "put-sync";
  std::string engine = "rocksdb";
  bool read_first = false;
  std::string directory;
  size_t waiters = 50;
  double seconds = 3;
  uint64_t operations = 0;  // > 0: this many instead of `seconds`
  uint64_t keys = 20'000;
  size_t value_bytes = 500;
  bool wait = false;
};

// The shard's executor: tasks run in Run, on the measuring thread.
class Queue : public storage::CompletionQueue {
 public:
  void Post(base::UniqueFunction<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    arrived_.notify_one();
  }
  // Runs all that is there, waiting for the first.
  void Run() {
    std::vector<base::UniqueFunction<void()>> tasks;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [this] { return !tasks_.empty(); });
      tasks.swap(tasks_);
    }
    for (auto& task : tasks) task();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<base::UniqueFunction<void()>> tasks_;
};

class SteadyClock final : public env::Clock {
 public:
  base::Instant Now() const override {
    return base::Instant(std::chrono::steady_clock::now().time_since_epoch());
  }
  base::WallTime Wall() const override {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count()};
  }
};

struct Totals {
  telemetry::Histogram latency;
  uint64_t failed = 0;
};

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

uint64_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// One opened engine and the loops over it.
class Bench {
 public:
  Bench(Options options) : options_(std::move(options)), random_(1) {}

  bool Open(uint64_t block_cache_bytes, uint32_t periodic_sync_ms) {
    const bool own_log = options_.engine == "log";
    storage::LogEngineOptions all;  // of the same memory: tables are taken from the cache
    all.table_bytes = block_cache_bytes / 4 * 3;
    all.files.directory = options_.directory;
    all.files.block_cache_bytes = own_log ? block_cache_bytes / 4 : block_cache_bytes;
    all.files.periodic_sync_ms = periodic_sync_ms;
    const auto kind = own_log ? storage::EngineKind::kLog : storage::EngineKind::kRocksDb;
    auto opened = storage::OpenEngine(kind, all, clock_);
    if (!opened) {
      std::cerr << "lariat-engine-bench: " << opened.error().message << "\n";
      return false;
    }
    engine_ = std::move(*opened);
    return true;
  }

  void Close() { engine_.reset(); }

  void Load() {
    storage::WriteBatch batch;
    for (uint64_t key = 0; key < options_.keys; ++key) {
      batch.Put(storage::Space::kData, KeyOf(key), ValueOf(key));
      if (batch.operations.size() == 100) Apply(&batch);
    }
    Apply(&batch);
    SyncNow();
  }

  // Asks the kernel to forget the files, which needs no root, once they are on disk.
  void ForgetCachedFiles() const {
    for (const auto& entry : fs::recursive_directory_iterator(options_.directory)) {
      const int file = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
      if (file < 0) continue;
      fdatasync(file);
      posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
      close(file);
    }
  }

  void Start() {
    started_ = Clock::now();
    stop_at_ = started_ + std::chrono::duration_cast<Clock::duration>(
                              std::chrono::duration<double>(options_.seconds));
  }

  // `sync`: an operation ends when it is durable; otherwise when it is in memory and in the log.
  void Puts(bool sync) {
    size_t starting = sync ? options_.waiters : 1;
    size_t under_way = 0;
    while (starting > 0 || under_way > 0) {
      storage::WriteBatch batch;
      const Clock::time_point begin = Clock::now();
      for (size_t i = 0; i < starting && More(begin); ++i) {
        std::string key = KeyOf(random_.Below(options_.keys));
        if (options_.read_first) ReadOne(key);
        batch.Put(storage::Space::kData, std::move(key), ValueOf(issued_++));
      }
      batch.sync_follows = sync;
      const size_t written = batch.operations.size();
      starting = 0;
      if (written > 0) Apply(&batch);
      if (!sync) {
        Finish(begin, written);
        starting = written;
        continue;
      }
      if (written > 0) {
        under_way += written;
        engine_->Sync(&queue_, [&, begin, written](base::Status status) {
          Finish(begin, written);
          if (!status) totals_.failed += written;
          under_way -= written;
          starting += written;
        });
      }
      if (under_way > 0) queue_.Run();
    }
  }

  void Gets() {
    for (Clock::time_point begin = Clock::now(); More(begin); begin = Clock::now()) {
      ++issued_;
      ReadOne(KeyOf(random_.Below(options_.keys)));
      Finish(begin, 1);
    }
  }

  void Report(const rusage& before, uint64_t resident_before) const {
    rusage after{};
    getrusage(RUSAGE_SELF, &after);
    const double elapsed = std::chrono::duration<double>(Clock::now() - started_).count();
    const double count = static_cast<double>(std::max<uint64_t>(totals_.latency.Count(), 1));
    auto micros = [&](double quantile) {
      return std::chrono::duration<double, std::micro>(totals_.latency.Quantile(quantile)).count();
    };
    fmt::print(
        "{{\"engine\":\"{}\",\"case\":\"{}\",\"waiters\":{},\"operations\":{},\"failed\":{},"
        "\"seconds\":{:.3f},"
        "\"per_second\":{:.0f},\"p50_us\":{:.2f},\"p99_us\":{:.2f},\"p999_us\":{:.2f},"
        "\"user_us_per_op\":{:.3f},\"system_us_per_op\":{:.3f},\"syncs\":{},"
        "\"reads_from_disk\":{},\"resident_growth_bytes\":{}}}\n",
        options_.engine, options_.what, options_.waiters, totals_.latency.Count(), totals_.failed,
        elapsed, count / elapsed, micros(0.5), micros(0.99), micros(0.999),
        (Seconds(after.ru_utime) - Seconds(before.ru_utime)) * 1e6 / count,
        (Seconds(after.ru_stime) - Seconds(before.ru_stime)) * 1e6 / count, engine_->Stats().syncs,
        engine_->Stats().reads_from_disk,
        static_cast<int64_t>(ResidentBytes()) - static_cast<int64_t>(resident_before));
  }

  void ReadAllOnce() {
    std::string value;
    base::Error error;
    for (uint64_t key = 0; key < options_.keys; ++key) {
      if (engine_->TryGet(storage::Space::kData, KeyOf(key), &value, &error) ==
          storage::Lookup::kNotInMemory) {
        ReadFromDisk(KeyOf(key));
      }
    }
  }

 private:
  bool More(Clock::time_point now) const {
    return options_.operations > 0 ? issued_ < options_.operations : now < stop_at_;
  }
  std::string KeyOf(uint64_t number) const {
    const std::string key = fmt::format("key-{:010}", number);
    return storage::DataKey(1, base::Hash64(key), key);
  }
  // Half of the value is noise, so that compression finds something, but not everything.
  std::string ValueOf(uint64_t number) const {
    base::Prng noise(number + 1);
    std::string value(options_.value_bytes, 'v');
    for (size_t i = 0; i + 16 <= value.size(); i += 16) {
      const uint64_t bits = noise.Next();
      value.replace(i, sizeof bits, reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    return value;
  }
  void Apply(storage::WriteBatch* batch) {
    // A stalled engine is asked again; nothing else is expected here.
    while (!engine_->Write(*batch)) usleep(1000);
    batch->Clear();
  }
  void SyncNow() {
    bool done = false;
    engine_->Sync(&queue_, [&](base::Status) { done = true; });
    while (!done) queue_.Run();
  }
  void ReadOne(const std::string& key) {
    base::Error error;
    const storage::Lookup found = engine_->TryGet(storage::Space::kData, key, &value_, &error);
    if (found == storage::Lookup::kNotInMemory) {
      ReadFromDisk(key);
    } else if (found != storage::Lookup::kFound) {
      ++totals_.failed;
    }
  }
  void ReadFromDisk(const std::string& key) {
    bool done = false;
    engine_->Get(storage::Space::kData, key, &queue_, [&](base::Result<std::string> result) {
      if (!result) ++totals_.failed;
      done = true;
    });
    while (!done) queue_.Run();
  }
  void Finish(Clock::time_point begin, size_t operations) {
    const auto took = Clock::now() - begin;
    for (size_t i = 0; i < operations; ++i) totals_.latency.Record(took);
  }

  const Options options_;
  const SteadyClock clock_;
  base::Prng random_;
  std::string value_;
  Queue queue_;  // outlives the engine
  std::unique_ptr<storage::Engine> engine_;
  Totals totals_;
  uint64_t issued_ = 0;
  Clock::time_point started_;
  Clock::time_point stop_at_;
};

constexpr uint64_t kUsualCache = 256ULL << 20;
constexpr uint64_t kTinyCache = 1ULL << 20;
constexpr uint32_t kPeriodicSyncMs = 100;

bool Prepare(const Options& options, Bench* bench) {
  const uint32_t periodic = options.what == "put-periodic" ? kPeriodicSyncMs : 0;
  if (!bench->Open(kUsualCache, periodic)) return false;
  bench->Load();
  if (options.what == "get-cold") {
    bench->Close();
    bench->ForgetCachedFiles();
    return bench->Open(kTinyCache, 0);
  }
  if (options.what == "get-hot") bench->ReadAllOnce();
  return true;
}

int Run(const Options& options) {
  const uint64_t resident_before = ResidentBytes();
  Bench bench(options);
  if (!Prepare(options, &bench)) return 1;
  if (options.wait) {
    std::cout << "ready\n" << std::flush;
    std::string line;
    std::getline(std::cin, line);
  }
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  bench.Start();
  if (options.what.starts_with("get-")) {
    bench.Gets();
  } else {
    bench.Puts(options.what == "put-sync");
  }
  bench.Report(before, resident_before);
  return 0;
}

}  // namespace
}  // namespace lariat::bench

int main(int argc, char** argv) {
  lariat::bench::Options options;
  CLI::App app("An engine alone through Lariat's engine interface", "lariat-engine-bench");
  app.add_option("--case", options.what, "What to measure")
      ->check(CLI::IsMember({"put-sync", "put-periodic", "put-none", "get-hot", "get-cold"}));
  app.add_option("--engine", options.engine, "Which engine")
      ->check(CLI::IsMember({"rocksdb", "log"}));
  app.add_flag("--read-first", options.read_first, "Each put reads its key first");
  app.add_option("--dir", options.directory, "An empty directory on the disk to measure")
      ->required();
  app.add_option("--waiters", options.waiters, "Puts that share a sync (put-sync)")
      ->check(CLI::Range(1, 100000));
  app.add_option("--seconds", options.seconds, "How long")->check(CLI::PositiveNumber);
  app.add_option("--operations", options.operations, "How many, instead of how long");
  app.add_option("--keys", options.keys, "Keys loaded first")->check(CLI::Range(1, 100'000'000));
  app.add_option("--value-bytes", options.value_bytes, "Bytes of a value")
      ->check(CLI::Range(0, 1 << 20));
  app.add_flag("--wait", options.wait, "Say ready, and start when a line arrives");
  CLI11_PARSE(app, argc, argv);
  return lariat::bench::Run(options);
}
