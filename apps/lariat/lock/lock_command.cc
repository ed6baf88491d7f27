// SPDX-License-Identifier: Apache-2.0
// lock: runs a command while holding a lock, which is a key of a serial bucket with an owner and an
// expiry (docs/serial.md). The version that taking it made is the fencing token: whoever is handed
// the lock later has a greater one.
//
// Requests carry no Idempotency-Key: whether one of unknown outcome did happen is told by a
// confirming read, because the value names its owner.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstring>
#include <random>
#include <thread>

#include "apps/lariat/commands.h"
#include "base/uuid.h"

namespace lariat::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};
constexpr milliseconds kLook{20};  // for the command's end
constexpr int kRenewals = 3;       // in the time of one expiry
constexpr int kSignalBase = 128;   // as shells tell of a signal
constexpr int kNotRun = 127;

std::atomic<int> asked_to_end{0};  // the signal that this process was sent
void OnSignal(int number) { asked_to_end = number; }

struct LockOptions {
  std::string key;
  std::string bucket = "locks";
  int64_t ttl_s = 30;
  std::optional<double> wait_s;  // none: for ever
  std::vector<std::string> command;
};
using LockOptionsPtr = std::shared_ptr<LockOptions>;  // shared by the parser's callbacks

std::string OwnerName() {
  std::random_device random;
  const auto bits = [&random] { return (uint64_t{random()} << 32) | random(); };
  const uint64_t high = bits();
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return fmt::format("{} {} {}", host, getpid(), base::Uuid::FromRandom(high, bits()).ToString());
}

std::optional<uint64_t> VersionOf(const net::Response& response) {
  const std::string_view text = response.Header("x-version");
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return version;
}

// One lock in the store. Its clock is this machine's monotonic one, from before each request: so it
// takes itself for lost no later than the store does.
class Lock {
 public:
  enum class State : uint8_t { kHeld, kTaken, kLost, kUnclear };

  Lock(const LockOptions& options, net::Client& client)
      : options_(options), client_(client), owner_(OwnerName()) {}

  // kTaken: by somebody else. kUnclear: `trouble` says why.
  State Take() { return Write("If-None-Match", "*"); }
  State Renew() { return Write("If-Match", fmt::format("\"{}\"", version_)); }
  void Release() {
    net::Request request = Start("DELETE", "");
    request.headers.emplace_back("If-Match", fmt::format("\"{}\"", version_));
    (void)client_.Send(request);  // or it expires
  }

  uint64_t version() const { return version_; }
  Clock::time_point expires() const { return expires_; }
  const std::string& trouble() const { return trouble_; }
  bool refused() const { return refused_; }  // asking again would be of no use

 private:
  net::Request Start(const char* method, const char* query) const {
    net::Request request;
    request.method = method;
    request.target = fmt::format("/buckets/{}/kv/{}{}", net::PercentEncode(options_.bucket),
                                 net::PercentEncode(options_.key), query);
    return request;
  }

  State Write(const char* condition, const std::string& what) {
    const auto began = Clock::now();
    net::Request request = Start("PUT", "");
    request.headers.emplace_back(condition, what);
    request.headers.emplace_back("X-TTL", std::to_string(options_.ttl_s));
    request.headers.emplace_back("Content-Type", "text/plain");
    request.body = owner_;
    const net::Outcome outcome = client_.Send(request);
    if (outcome && outcome->status == 201) return Have(*outcome, began);
    if (outcome && outcome->status != 409 && outcome->status < 500) {
      refused_ = true;
      trouble_ = ParseErrorBody(outcome->body).message;
      return State::kUnclear;
    }
    trouble_ = outcome ? ParseErrorBody(outcome->body).message : "no node could be reached";
    // 409 too: the write may be one that was sent before and answered by nobody.
    return Look(began);
  }

  State Look(Clock::time_point began) {
    const net::Outcome outcome = client_.Send(Start("GET", "?confirm=true"));
    if (outcome && outcome->status == 404) return version_ == 0 ? State::kUnclear : State::kLost;
    if (!outcome || outcome->status != 200) return State::kUnclear;
    if (outcome->body == owner_) return Have(*outcome, began);
    return version_ == 0 ? State::kTaken : State::kLost;
  }

  State Have(const net::Response& response, Clock::time_point began) {
    const auto version = VersionOf(response);
    if (!version) {
      refused_ = true;
      trouble_ = fmt::format("the bucket '{}' is not serial", options_.bucket);
      return State::kUnclear;
    }
    version_ = *version;
    expires_ = began + std::chrono::seconds(options_.ttl_s);
    return State::kHeld;
  }

  const LockOptions& options_;
  net::Client& client_;
  const std::string owner_;
  uint64_t version_ = 0;
  Clock::time_point expires_{};
  std::string trouble_;
  bool refused_ = false;
};

// Makes the bucket as serial if there is none.
std::optional<Exit> PrepareBucket(net::Client& client, const std::string& bucket) {
  net::Request request;
  request.method = "GET";
  request.target = "/v1/buckets/" + net::PercentEncode(bucket);
  net::Outcome outcome = client.Send(request);
  if (outcome && outcome->status == 404) {
    request.method = "PUT";
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = R"({"conflict":"serial"})";
    outcome = client.Send(request);
  }
  const auto reply = Answer(client, outcome);
  if (!reply) return reply.error();
  if (TextOf(*reply, "conflict") == "serial") return std::nullopt;
  return Complain(Exit::kUsage, fmt::format("the bucket '{}' is not serial", bucket));
}

// Nothing once it is held.
std::optional<Exit> TakeLock(const LockOptions& o, Lock* lock) {
  const auto began = Clock::now();
  milliseconds pause = kFirstPause;
  while (true) {
    const Lock::State state = lock->Take();
    if (state == Lock::State::kHeld) return std::nullopt;
    if (lock->refused()) return Complain(Exit::kFailed, lock->trouble());
    const std::chrono::duration<double> waited = Clock::now() - began;
    const bool over = (o.wait_s && waited.count() >= *o.wait_s) || asked_to_end != 0;
    if (over && state == Lock::State::kTaken) {
      return Complain(Exit::kNotFound, fmt::format("the lock '{}' is held by another", o.key));
    }
    if (over) return Complain(Exit::kNotFound, "the lock was not had: " + lock->trouble());
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

pid_t StartCommand(const LockOptions& o, uint64_t fence) {
  setenv("LARIAT_FENCE", std::to_string(fence).c_str(), 1);
  std::vector<char*> arguments;
  arguments.reserve(o.command.size() + 1);
  for (const std::string& word : o.command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  execvp(arguments[0], arguments.data());
  _exit(kNotRun);
}

// Renews until the command ends; its exit code. A lost lock ends the command.
int Mind(const LockOptions& o, Lock* lock, pid_t child) {
  const auto ttl = std::chrono::duration_cast<milliseconds>(std::chrono::seconds(o.ttl_s));
  auto renew_at = lock->expires() - ttl + ttl / kRenewals;
  bool lost = false;
  while (true) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      if (lost) return static_cast<int>(Exit::kFailed);
      lock->Release();
      return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalBase + WTERMSIG(status);
    }
    if (const int number = asked_to_end.exchange(0); number != 0) kill(child, number);
    if (!lost && Clock::now() >= renew_at) {
      const Lock::State state = lock->Renew();
      renew_at = Clock::now() + ttl / kRenewals;
      lost = state == Lock::State::kLost;
      // The outcome may become clear: asked again soon.
      if (state == Lock::State::kUnclear) renew_at = Clock::now() + kFirstPause;
    }
    if (!lost && Clock::now() >= lock->expires()) lost = true;
    if (lost && renew_at != Clock::time_point::max()) {
      Complain(Exit::kFailed, "the lock was lost; the command is told to end");
      kill(child, SIGTERM);
      renew_at = Clock::time_point::max();
    }
    std::this_thread::sleep_for(kLook);
  }
}

Exit RunLocked(const Common& common, const LockOptions& o) {
  if (o.command.empty()) return Complain(Exit::kUsage, "give a command behind --");
  if (o.ttl_s < 3) return Complain(Exit::kUsage, "--ttl is at least 3 seconds");
  const auto ttl = std::chrono::duration_cast<milliseconds>(std::chrono::seconds(o.ttl_s));
  auto client = Connect(common, std::min(kUsualWait, ttl / kRenewals));
  if (!client) return Exit::kUsage;
  if (const auto failed = PrepareBucket(*client, o.bucket)) return *failed;
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  Lock lock(o, *client);
  if (const auto failed = TakeLock(o, &lock)) return *failed;
  const pid_t child = StartCommand(o, lock.version());
  if (child < 0) {
    lock.Release();
    return Complain(Exit::kFailed, fmt::format("cannot start: {}", std::strerror(errno)));
  }
  return static_cast<Exit>(Mind(o, &lock, child));
}

}  // namespace

void AddLockCommand(CLI::App& app, Session& session) {
  auto o = std::make_shared<LockOptions>();
  CLI::App* command = AddCommand(app, session, "lock", "Run a command while holding a lock",
                                 "  lariat lock nightly -- ./backup.sh\n"
                                 "  lariat lock nightly --wait 0 --ttl 60 -- ./backup.sh");
  command->add_option("KEY", o->key, "The lock's name: a key of 1 to 256 bytes")->required();
  command->add_option("-b,--bucket", o->bucket, "Its bucket (locks), made as serial if missing");
  command->add_option("--ttl", o->ttl_s, "Seconds until it is free when this process dies (30)");
  command->add_option("--wait", o->wait_s, "Seconds to wait for it; 0 tries once; else for ever");
  command->add_option("COMMAND", o->command, "What to run, behind --; it gets LARIAT_FENCE");
  command->callback(
      [&session, o] { session.run = [&session, o] { return RunLocked(session.common, *o); }; });
}

}  // namespace lariat::cli
