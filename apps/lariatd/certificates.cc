// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/certificates.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <chrono>
#include <utility>

#include "env/posix/file.h"

namespace lariat::lariatd {

using base::Code;
using base::Fail;
using env::tls::Files;
using env::tls::Pem;
using telemetry::LogLevel;

namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr base::Duration kSettle = base::Seconds(2);  // whoever writes three files is not done yet
constexpr int64_t kDay = 86400;
constexpr int64_t kWarnDays = 30;

bool Same(const Files& a, const Files& b) {
  return a.cert.text == b.cert.text && a.key.text == b.key.text && a.ca.text == b.ca.text;
}

// Before the loops run there is no clock of a shard.
int64_t NowSeconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::string Date(int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

base::Result<Pem> ReadPem(const char* key, const std::string& path) {
  auto text = env::posix::ReadFile(path, kFileBytesMax);
  if (!text) {
    return Fail(Code::kInvalidArgument, fmt::format("security.{}: {}", key, text.error().message));
  }
  return Pem{std::move(*text), fmt::format("security.{} = {}", key, path)};
}

base::Status CheckPrivate(const std::string& path) {
  struct stat what = {};
  if (stat(path.c_str(), &what) != 0 || (what.st_mode & 077) == 0) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("security.key_file = {} can be used by others than its owner (mode "
                          "{:04o}). Make it private: chmod 600 {}",
                          path, what.st_mode & 07777, path));
}

}  // namespace

Certificates::Shard::Shard(env::posix::ShardLoop& on,
                           std::shared_ptr<const env::tls::Contexts> contexts,
                           env::tls::TlsShard::Limits limits, env::tls::Plain plain)
    : loop(on),
      tls(on.env(), std::move(contexts), limits),
      clients(on.network(), tls, env::tls::Side::kClients, plain),
      peers(on.network(), tls, env::tls::Side::kPeers, plain) {}

Certificates::Certificates(const config::Settings& settings, std::string node,
                           telemetry::LogSink& log)
    : settings_(settings), node_(std::move(node)), log_(log) {}

base::Result<std::unique_ptr<Certificates>> Certificates::Open(const config::Settings& settings,
                                                               const std::string& node,
                                                               telemetry::LogSink& log) {
  const std::pair<const char*, const std::string&> all[] = {
      {"security.cert_file", settings.security_cert_file},
      {"security.key_file", settings.security_key_file},
      {"security.ca_file", settings.security_ca_file}};
  std::string missing;
  size_t set = 0;
  for (const auto& [key, path] : all) {
    set += path.empty() ? 0 : 1;
    if (path.empty()) missing += (missing.empty() ? "" : " and ") + std::string(key);
  }
  if (set == 0 && settings.security_transition) {
    return Fail(Code::kInvalidArgument,
                "security.transition is for nodes with security.cert_file, security.key_file and "
                "security.ca_file; none of them is set");
  }
  if (set == 0) return nullptr;
  if (!missing.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("TLS needs security.cert_file, security.key_file and "
                            "security.ca_file; {} is not set. Set all three (lariat cert makes the "
                            "files), or none",
                            missing));
  }
  auto made = std::unique_ptr<Certificates>(new Certificates(settings, node, log));
  auto files = made->Read();
  if (!files) return Fail(files.error());
  if (auto status = made->Take(std::move(*files)); !status) return Fail(status.error());
  if (settings.security_transition) {
    log.Write(LogLevel::kWarn, "tls",
              "security.transition is set: those who do not speak TLS come in as if there were "
              "none. Take it away when all nodes and clients do");
  }
  return made;
}

base::Result<Files> Certificates::Read() const {
  if (auto status = CheckPrivate(settings_.security_key_file); !status) {
    return Fail(status.error());
  }
  auto cert = ReadPem("cert_file", settings_.security_cert_file);
  if (!cert) return Fail(cert.error());
  auto key = ReadPem("key_file", settings_.security_key_file);
  if (!key) return Fail(key.error());
  auto ca = ReadPem("ca_file", settings_.security_ca_file);
  if (!ca) return Fail(ca.error());
  return Files{std::move(*cert), std::move(*key), std::move(*ca)};
}

base::Status Certificates::Take(Files files) {
  auto made = env::tls::Contexts::Make(files, node_, NowSeconds());
  if (!made) return Fail(made.error());
  contexts_ = std::move(*made);
  in_use_ = std::move(files);
  seen_ = {};
  log_.Log(LogLevel::kInfo, "tls",
           "TLS for clients and peers: the certificate is that of the node '{}' of the cluster "
           "'{}', good until {}",
           node_, contexts_->cluster(), Date(contexts_->expires_s()));
  for (auto& shard : shards_) {
    shard->loop.env().executor.Post(
        [&each = *shard, contexts = contexts_] { each.tls.Use(contexts); });
  }
  return {};
}

void Certificates::AddShard(env::posix::ShardLoop& loop) {
  const env::tls::TlsShard::Limits limits{static_cast<size_t>(settings_.security_handshakes_max),
                                          base::Millis(settings_.security_handshake_timeout_ms)};
  const auto plain =
      settings_.security_transition ? env::tls::Plain::kTaken : env::tls::Plain::kRefused;
  shards_.push_back(std::make_unique<Shard>(loop, contexts_, limits, plain));
}

void Certificates::Attach(size_t shard, telemetry::Metrics& metrics) {
  shards_[shard]->metrics = &metrics;
  shards_[shard]->tls.Attach(metrics, log_);
}

void Certificates::StopListening(size_t shard) {
  shards_[shard]->clients.StopListening();
  shards_[shard]->peers.StopListening();
}

void Certificates::Start() {
  ShowTime();
  Watch();
}

void Certificates::Watch() {
  env().timers.After(base::Seconds(settings_.security_check_files_s), [this] {
    Look(Haste::kSettle);
    ShowTime();
    Watch();
  });
}

void Certificates::Reload() {
  Look(Haste::kAtOnce);
  ShowTime();
}

// The content is compared, not a time or an inode: files are written in place, renamed, or reached
// by links that change.
void Certificates::Look(Haste haste) {
  auto files = Read();
  if (!files) return Complain(files.error().message);
  telemetry::Metrics& metrics = *shards_[0]->metrics;
  if (Same(*files, in_use_)) {
    if (!complaint_.empty()) log_.Write(LogLevel::kInfo, "tls", "the files are as in use again");
    complaint_.clear();
    metrics.tls_reload_failing.Set(0);
    return;
  }
  if (haste == Haste::kSettle && !Same(*files, seen_)) {
    seen_ = std::move(*files);
    env().timers.After(kSettle, [this] { Look(Haste::kSettle); });
    return;
  }
  seen_ = *files;
  if (auto status = Take(std::move(*files)); !status) return Complain(status.error().message);
  complaint_.clear();
  metrics.tls_reload_failing.Set(0);
  metrics.tls_reloads.Add();
}

void Certificates::Complain(const std::string& why) {
  shards_[0]->metrics->tls_reload_failing.Set(1);
  if (why == complaint_) return;
  complaint_ = why;
  log_.Log(LogLevel::kError, "tls",
           "the certificate files have changed and are no good, so those from before stay in use: "
           "{}",
           why);
}

void Certificates::ShowTime() {
  const int64_t now = NowSeconds();
  const int64_t left = contexts_->expires_s() - now;
  for (auto& shard : shards_) {
    shard->loop.env().executor.Post(
        [metrics = shard->metrics, left] { metrics->tls_certificate_seconds.Set(left); });
  }
  if (left > kWarnDays * kDay || warned_day_ == now / kDay) return;
  warned_day_ = now / kDay;
  log_.Log(left > 0 ? LogLevel::kWarn : LogLevel::kError, "tls",
           "a certificate in use {} {}: {} days {}. Put a new one in the place of {}; it is taken "
           "up while the node runs",
           left > 0 ? "expires on" : "has expired on", Date(contexts_->expires_s()),
           std::abs(left) / kDay, left > 0 ? "are left" : "ago", settings_.security_cert_file);
}

}  // namespace lariat::lariatd
