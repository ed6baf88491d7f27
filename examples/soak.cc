// SPDX-License-Identifier: Apache-2.0
// Load that checks itself: each thread writes keys of its own through a session, reads them back at
// one replica where that is enough, and remembers what was acknowledged. Runs until standard input
// ends, then reads everything once more. Standard output: "acknowledged N" now and then, and at the
// end one line of JSON. Exit code 1 if an acknowledged write was lost, or a session saw less than
// it had seen.
#include <lariat/client.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 8;
constexpr int kKeysEach = 20;

// What may be found of one key.
struct Known {
  std::string acknowledged;      // empty: nothing yet
  std::set<std::string> since;   // unknown writes after it: one may have taken its place
  std::set<std::string> beside;  // writes with a try that was lost: may stand beside it
  bool Allows(const lariat::Result<lariat::Read>& read) const {
    if (!read) return read.code() != lariat::Code::NotFound || acknowledged.empty();
    bool has_newest = acknowledged.empty();
    for (const lariat::Sibling& value : read->values) {
      if (value.bytes != acknowledged && beside.count(value.bytes) == 0) return false;
      has_newest = has_newest || value.bytes == acknowledged || since.count(value.bytes) > 0;
    }
    return has_newest;
  }
};

struct Soak {
  explicit Soak(lariat::ClientOptions options) : client(std::move(options)) {}
  lariat::Client client;
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> acknowledged{0}, not_done{0}, unknown{0}, reads{0}, failed_reads{0};
  std::mutex mutex;
  std::vector<std::string> problems;

  void Complain(const std::string& key, const Known& known,
                const lariat::Result<lariat::Read>& read) {
    std::string text = key + ": wanted " + known.acknowledged + ", found";
    if (!read) text += " " + read.error().message;
    if (read) {
      for (const lariat::Sibling& value : read->values) text += " " + value.bytes;
    }
    const std::lock_guard<std::mutex> lock(mutex);
    problems.push_back(text);
  }

  void Work(int number) {
    lariat::Session session = client.NewSession();
    lariat::Blocking kv(session);
    std::map<std::string, Known> keys;
    for (int turn = 0; !stopping; ++turn) {
      const std::string key = Name(number, turn % kKeysEach);
      const std::string value = key + "=" + std::to_string(turn);
      Note(kv.Put(key, value), value, keys[key]);
      Check(key, keys[key], kv.Get(key, lariat::Consistency::Adaptive));
    }
    lariat::Blocking plain(client);
    for (const auto& [key, known] : keys) {
      const auto read = plain.Get(key, lariat::Consistency::Quorum);
      Check(key, known, read);
      if (!read && read.code() != lariat::Code::NotFound) Complain(key, known, read);
    }
  }

  void Note(const lariat::Result<lariat::Written>& put, const std::string& value, Known& known) {
    if (put) {
      known.acknowledged = value;
      known.since.clear();
      if (put->tries > 1) known.beside.insert(value);
      if (++acknowledged % 100 == 0) Tell();
    } else if (put.outcome() == lariat::Outcome::Unknown) {
      ++unknown;
      known.since.insert(value);
      known.beside.insert(value);
    } else {
      ++not_done;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  void Check(const std::string& key, const Known& known, const lariat::Result<lariat::Read>& read) {
    ++reads;
    if (!read && read.code() != lariat::Code::NotFound) ++failed_reads;
    if (!known.Allows(read)) Complain(key, known, read);
  }

  void Tell() {
    const std::lock_guard<std::mutex> lock(mutex);
    std::cout << "acknowledged " << acknowledged << "\n" << std::flush;
  }

  static std::string Name(int number, int key) {
    return "soak-" + std::to_string(number) + "-" + std::to_string(key);
  }

  int Report() {
    const lariat::Stats stats = client.GetStats();
    for (const std::string& problem : problems) std::cerr << problem << '\n';
    std::cout << "{\"acknowledged\":" << acknowledged << ",\"not_done\":" << not_done
              << ",\"unknown\":" << unknown << ",\"reads\":" << reads
              << ",\"failed_reads\":" << failed_reads << ",\"problems\":" << problems.size()
              << ",\"retries\":" << stats.retries << ",\"hedges\":" << stats.hedges
              << ",\"hedges_won\":" << stats.hedges_won << ",\"escalations\":" << stats.escalations
              << ",\"topology_changes\":" << stats.topology_changes << "}\n";
    return problems.empty() ? 0 : 1;
  }
};

}  // namespace

int main(int argc, char** argv) {
  lariat::ClientOptions options;
  if (argc > 1) options.nodes.assign(argv + 1, argv + argc);
  Soak soak(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&soak, i] { soak.Work(i); });
  std::string line;
  while (std::getline(std::cin, line)) {
  }
  soak.stopping = true;
  for (std::thread& thread : threads) thread.join();
  return soak.Report();
}
