// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <utility>

#include "apps/lariatd/audit_file.h"
#include "apps/lariatd/certificates.h"
#include "apps/lariatd/log.h"
#include "apps/lariatd/secrets.h"
#include "apps/lariatd/self_check.h"
#include "apps/lariatd/version.h"
#include "config/settings.h"
#include "env/posix/descriptors.h"
#include "env/posix/file.h"
#include "env/posix/shard_loop.h"
#include "env/posix/signals.h"
#include "env/posix/worker_threads.h"
#include "frontend/connection/frontend.h"
#include "frontend/http/http_frontend.h"
#include "frontend/resp/resp_frontend.h"
#include "node/node.h"
#include "peers/peer_links.h"
#include "security/password.h"
#include "storage/log_engine/log_engine.h"
#include "storage/rocksdb/rocksdb_engine.h"

namespace lariat::lariatd {

using base::Code;
using base::Fail;
using env::posix::ShardLoop;
using telemetry::LogLevel;

namespace {

constexpr base::Duration kWatch = base::Millis(50);
constexpr base::Duration kSalvagePause = base::Seconds(5);   // between looks whether it may be
constexpr base::Duration kCrowdedPause = base::Seconds(10);  // between two lines about clients
constexpr base::Duration kLastWords = base::Seconds(2);      // for the log, before an end at once
// Files past this number are not counted: all stay open, which saves a look-up for each read.
constexpr uint64_t kStoreFilesMax = 65536;
// A peer reads whenever it is well, so one that takes nothing for so long is gone.
constexpr base::Duration kPeerUserTimeout = base::Seconds(10);
constexpr uint64_t kPeerConnectionsMin = 16;  // of one shard
constexpr uint64_t kFewDescriptors = 4096;
// An Argon2 hash takes 19 MiB and some 20 ms of a core.
constexpr size_t kHashingThreads = 2;
constexpr size_t kHashesWaiting = 64;

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] != 0 ? name : "node1";
}

std::string NodeName(const config::Settings& settings) {
  return settings.node_name.empty() ? HostName() : settings.node_name;
}

uint32_t ShardCount(const config::Settings& settings) {
  const auto cores = std::max(1U, std::thread::hardware_concurrency());
  return settings.node_shards > 0 ? static_cast<uint32_t>(settings.node_shards) : cores;
}

bool HasOwnLog(const config::Settings& s) { return s.storage_engine == "log"; }

storage::RocksOptions FileOptions(const config::Settings& s, uint64_t store_files) {
  storage::RocksOptions o;
  o.directory = s.node_data_dir + "/db";
  o.block_cache_bytes = static_cast<uint64_t>(s.storage_block_cache_bytes);
  if (HasOwnLog(s)) {
    const auto tables = static_cast<uint64_t>(s.storage_table_bytes);
    o.block_cache_bytes -= std::min(tables, o.block_cache_bytes / 4 * 3);
  }
  o.memtable_bytes = static_cast<uint64_t>(s.storage_memtable_bytes);
  o.io_threads = static_cast<uint32_t>(s.storage_io_threads);
  o.io_queue_max = static_cast<uint32_t>(s.storage_io_queue_max);
  o.background_threads = static_cast<uint32_t>(s.storage_background_threads);
  o.background_bytes_per_s = static_cast<uint64_t>(s.storage_background_bytes_per_s);
  o.compression = s.storage_compression;
  o.disk_reserve_bytes = static_cast<uint64_t>(s.storage_disk_reserve_bytes);
  o.periodic_sync_ms = static_cast<uint32_t>(s.storage_periodic_ms);
  o.open_files_max = store_files < kStoreFilesMax ? static_cast<uint32_t>(store_files) : 0;
  return o;
}

base::Result<std::unique_ptr<storage::Engine>> OpenEngine(const config::Settings& s,
                                                          uint64_t store_files,
                                                          const env::Clock& clock) {
  storage::LogEngineOptions o;
  o.files = FileOptions(s, store_files);
  o.table_bytes = static_cast<uint64_t>(s.storage_table_bytes);
  o.log_bytes = static_cast<uint64_t>(s.storage_log_bytes);
  const auto kind = HasOwnLog(s) ? storage::EngineKind::kLog : storage::EngineKind::kRocksDb;
  return storage::OpenEngine(kind, o, clock);
}

}  // namespace

// Where clients of one protocol come in: a listener and a frontend on each shard.
struct Door {
  const char* protocol;
  std::string address;  // as bound
  uint64_t connections_of_shard = 0;
  std::vector<std::unique_ptr<frontend::connection::Frontend>> frontends;
};

struct Server::Impl {
  Impl(config::Settings s, std::function<base::Result<config::Settings>()> read, Allowed a)
      : settings(s),
        start_settings(std::move(s)),
        read_settings(std::move(read)),
        allowed(a),
        log(settings) {}

  base::Status OpenAccess();
  base::Status PlanDescriptors(uint64_t members);
  void SayDescriptors();
  base::Status OpenStorage();
  base::Status OpenPeerListeners();
  base::Status OpenDoor(Door& door);
  base::Status OpenDoors();
  void MakeFrontends();
  void BuildNode();
  void Watch();
  void WatchClients();
  base::Status OpenCertificates();
  env::Network& Clients(size_t shard);
  env::Network& Peers(size_t shard);
  void Salvage();
  std::string WhyNotSalvaged();
  void OnSignal(int signal);
  void Reload();
  void Linger();
  void Drain();
  void WaitForIdle(base::Instant give_up);
  void Advertise(const char* what, const std::string& address, std::string* bound);
  void CheckAdvertised();
  void SayReady();
  void End(int code);

  config::Settings settings;              // shard 0's; SIGHUP changes it
  const config::Settings start_settings;  // what other threads may look at
  std::function<base::Result<config::Settings>()> read_settings;
  const Allowed allowed;
  StderrLog log;
  env::posix::DescriptorPlan plan;
  std::optional<env::posix::DirectoryLock> lock;
  std::unique_ptr<storage::Engine> engine;
  node::Identity identity;
  topology::Cluster::Stored stored;
  node::Past::Stored past;
  uint64_t generation = 1;
  node::Addresses addresses;
  std::unique_ptr<Certificates> certificates;  // null without TLS; outlives the loops' streams
  std::vector<std::unique_ptr<ShardLoop>> loops;
  std::vector<std::unique_ptr<peers::PeerLinks>> links;
  std::string first_password;
  std::unique_ptr<AuditFile> audit;
  std::unique_ptr<env::posix::WorkerThreads> workers;  // ends before the node and the loops
  std::unique_ptr<node::Node> node;
  std::vector<std::unique_ptr<SelfCheck>> checks;
  std::vector<env::Env> environments;  // frontends keep references
  Door http{"HTTP", {}, 0, {}};
  Door resp{"RESP", {}, 0, {}};
  std::unique_ptr<env::posix::Signals> signals;
  bool said_ready = false;
  bool lingering = false;
  bool draining = false;
  uint64_t crowded_told = 0;  // clients shed or refused, as the log was told last
  std::optional<base::Instant> crowded_at;
  std::string not_salvaged;  // why, as the log was told last
  std::optional<base::Instant> salvage_tried;
  int exit_code = 0;
};

base::Status Server::Impl::PlanDescriptors(uint64_t members) {
  env::posix::DescriptorNeeds needs;
  needs.shards = ShardCount(settings);
  needs.members = std::max<uint64_t>(members, settings.cluster_join.size() + 1);
  needs.background_threads = static_cast<uint64_t>(settings.storage_background_threads);
  const auto http_max = static_cast<uint64_t>(settings.http_connections_max);
  const auto all_max = http_max + static_cast<uint64_t>(settings.resp_connections_max);
  needs.clients_wanted = needs.shards * all_max;
  auto planned = env::posix::PlanDescriptors(allowed.descriptors, needs);
  if (!planned) return Fail(planned.error());
  plan = *planned;
  const uint64_t of_shard = plan.clients / needs.shards;
  http.connections_of_shard = std::max<uint64_t>(1, of_shard * http_max / all_max);
  resp.connections_of_shard = std::max<uint64_t>(1, of_shard - http.connections_of_shard);
  return {};
}

void Server::Impl::SayDescriptors() {
  const bool few = plan.allowed < kFewDescriptors;
  log.Log(few ? LogLevel::kWarn : LogLevel::kInfo, "server",
          "{} open files are allowed: {} for clients ({} for each of {} shards), {} for other "
          "nodes, {} for the store{}",
          plan.allowed, plan.clients, plan.clients / loops.size(), loops.size(), plan.peers,
          plan.store, few ? ". Raise the limit (LimitNOFILE=, ulimit -n): that is few" : "");
  for (uint32_t i = 0; i < loops.size(); ++i) {
    telemetry::Metrics& metrics = node->shard(i).metrics();
    metrics.descriptors_max.Set(static_cast<int64_t>(plan.allowed));
    metrics.http_connections_max.Set(static_cast<int64_t>(http.connections_of_shard));
    metrics.resp_connections_max.Set(static_cast<int64_t>(resp.connections_of_shard));
  }
}

// What logging in needs: hashing threads, the first password, the audit file.
base::Status Server::Impl::OpenAccess() {
  if (settings.security_auth == "off") return {};
  if (!settings.security_bootstrap_password_file.empty()) {
    auto password = ReadSecret(settings.security_bootstrap_password_file);
    if (!password) return Fail(password.error());
    if (auto good = security::CheckPassword(*password); !good) {
      return Fail(Code::kInvalidArgument, "security.bootstrap_password_file = " +
                                              settings.security_bootstrap_password_file + ": " +
                                              good.error().message);
    }
    first_password = std::move(*password);
  }
  workers = std::make_unique<env::posix::WorkerThreads>(kHashingThreads, kHashesWaiting);
  if (settings.security_audit_file.empty()) return {};
  auto opened = AuditFile::Open(settings);
  if (!opened) return Fail(opened.error());
  audit = std::move(*opened);
  return {};
}

base::Status Server::Impl::OpenCertificates() {
  auto opened = Certificates::Open(settings, NodeName(settings), log);
  if (!opened) return Fail(opened.error());
  certificates = std::move(*opened);
  return {};
}

// What listens and connects for clients and for peers: with TLS or without.
env::Network& Server::Impl::Clients(size_t shard) {
  return certificates ? certificates->Clients(shard) : loops[shard]->network();
}
env::Network& Server::Impl::Peers(size_t shard) {
  return certificates ? certificates->Peers(shard) : loops[shard]->network();
}

base::Status Server::Impl::OpenStorage() {
  if (auto planned = PlanDescriptors(1); !planned) return planned;
  if (auto status = env::posix::MakeDirectories(settings.node_data_dir); !status) return status;
  auto taken = env::posix::DirectoryLock::Take(settings.node_data_dir);
  if (!taken) return Fail(Code::kUnavailable, taken.error().message);
  lock = std::move(*taken);
  for (uint32_t i = 0; i < ShardCount(settings); ++i) {
    loops.push_back(std::make_unique<ShardLoop>("shard" + std::to_string(i)));
    if (certificates) certificates->AddShard(*loops.back());
  }
  auto opened = OpenEngine(settings, plan.store, loops[0]->env().clock);
  if (!opened) return Fail(opened.error());
  engine = std::move(*opened);
  if (engine->batch_bytes_max() < static_cast<uint64_t>(settings.limits_object_bytes)) {
    log.Log(LogLevel::kWarn, "storage",
            "storage.log_bytes is small for limits.object_bytes: keys whose values have more than "
            "some {} bytes together are refused",
            engine->batch_bytes_max());
  }
  if (engine->Stats().log_truncated) {
    log.Write(
        LogLevel::kWarn, "storage",
        "recovery cut the write-ahead log at a damaged record: writes that this node had may be "
        "missing here. Nothing wrong can come of it: this run uses new actors, and refuses reads "
        "until what it holds was compared with the other replicas");
  }
  if (engine->Stats().salvaged) {
    log.Log(LogLevel::kError, "storage",
            "the store was damaged: what could be read of it was copied into a new one, and the "
            "rest comes from the other replicas. The damaged files are kept in {}/quarantine-* "
            "({} bytes) and can be deleted. Check the disk",
            FileOptions(settings, plan.store).directory, engine->Stats().quarantine_bytes);
  }
  env::Env env = loops[0]->env();
  auto loaded = node::LoadIdentity(*engine, env.entropy, NodeName(settings));
  // The directory of another node is a mistake in the configuration.
  if (!loaded && loaded.error().code == Code::kConflict) {
    return Fail(Code::kInvalidArgument, loaded.error().message);
  }
  if (!loaded) return Fail(loaded.error());
  identity = std::move(*loaded);
  return {};
}

base::Status Server::Impl::OpenPeerListeners() {
  addresses.peer = settings.listen_peer;
  for (size_t i = 0; i < loops.size(); ++i) {
    links.push_back(std::make_unique<peers::PeerLinks>(loops[i]->env(), Peers(i), settings, log));
    env::ListenOptions listen;
    listen.address = addresses.peer;
    listen.joins_other_shard = links.size() > 1;
    listen.user_timeout = kPeerUserTimeout;
    listen.connections_max = std::max(plan.peers / loops.size(), kPeerConnectionsMin);
    auto bound = Peers(i).Listen(std::move(listen), [l = links.back().get()](env::Stream& stream) {
      return l->Accept(stream);
    });
    if (!bound) return Fail(bound.error().code, "peer listener: " + bound.error().message);
    addresses.peer = *bound;
  }
  Advertise("peer", settings.advertise_peer, &addresses.peer);
  return {};
}

// Other nodes and clients are told this address.
void Server::Impl::Advertise(const char* what, const std::string& address, std::string* bound) {
  if (address.empty() || address == *bound) return;
  log.Log(LogLevel::kInfo, "server", "listens for {} on {} and advertises {}", what, *bound,
          address);
  *bound = address;
}

// Only what is said otherwise than what it listens on can be wrong.
void Server::Impl::CheckAdvertised() {
  const auto start = [this](SelfCheck::Kind kind, const std::string& address) {
    if (address.empty()) return;
    checks.push_back(std::make_unique<SelfCheck>(
        loops[0]->env(), kind == SelfCheck::Kind::kPeer ? Peers(0) : Clients(0),
        SelfCheck::Target{kind, address, node->shard(0).MakeHello()}, log));
    checks.back()->Start();
  };
  start(SelfCheck::Kind::kPeer, settings.advertise_peer);
  start(SelfCheck::Kind::kHttp, settings.advertise_http);
}

void Server::Impl::BuildNode() {
  std::vector<node::Shard::World> worlds;
  for (size_t i = 0; i < loops.size(); ++i) worlds.push_back({loops[i]->env(), *links[i]});
  node::NodeOptions options;
  options.identity = identity;
  options.addresses = addresses;
  options.settings = settings;
  options.version = kVersion;
  options.stored = std::move(stored);
  options.past = std::move(past);
  options.generation = generation;
  options.first_password = std::move(first_password);
  options.workers = workers.get();
  options.audit = audit.get();
  node = std::make_unique<node::Node>(std::move(options), worlds, *engine, log);
  for (uint32_t i = 0; i < loops.size(); ++i) {
    links[i]->Attach(node->shard(i), node->shard(i).metrics());
    if (certificates) certificates->Attach(i, node->shard(i).metrics());
  }
}

base::Status Server::Impl::OpenDoor(Door& door) {
  door.frontends.resize(loops.size());
  for (size_t i = 0; i < loops.size(); ++i) {
    // The frontend is made when the node is; nothing is accepted before the loops run.
    auto& frontend = door.frontends[i];
    env::ListenOptions listen;
    listen.address = door.address;
    listen.connections_max = door.connections_of_shard;
    listen.make_room = [&frontend] { return frontend->MakeRoom(); };
    listen.refuse = [&frontend] { return frontend->Refuse(); };
    listen.joins_other_shard = i > 0;
    auto bound = Clients(i).Listen(
        std::move(listen), [&frontend](env::Stream& stream) { return frontend->Accept(stream); });
    if (!bound) {
      return Fail(bound.error().code,
                  std::string(door.protocol) + " listener: " + bound.error().message);
    }
    door.address = *bound;
  }
  return {};
}

base::Status Server::Impl::OpenDoors() {
  http.address = settings.listen_http;
  resp.address = settings.listen_resp;
  for (Door* door : {&http, &resp}) {
    if (auto status = OpenDoor(*door); !status) return status;
  }
  addresses.http = http.address;
  addresses.resp = resp.address;
  Advertise("HTTP", settings.advertise_http, &addresses.http);
  Advertise("RESP", settings.advertise_resp, &addresses.resp);
  return {};
}

void Server::Impl::MakeFrontends() {
  for (auto& loop : loops) environments.push_back(loop->env());
  for (uint32_t i = 0; i < loops.size(); ++i) {
    node::Shard& shard = node->shard(i);
    http.frontends[i] = std::make_unique<frontend::http::HttpFrontend>(
        node->kv(i), node->admin(i), start_settings, shard.metrics(), environments[i],
        node->access(i));
    resp.frontends[i] = std::make_unique<frontend::resp::RespFrontend>(
        node->kv(i), node->admin(i), start_settings, shard.metrics(), environments[i],
        node->access(i));
  }
}

void Server::Impl::SayReady() {
  said_ready = true;
  log.Say(fmt::format("lariatd ready: node={} http={} resp={} peer={} data={}\n", identity.name,
                      addresses.http, addresses.resp, addresses.peer, settings.node_data_dir));
}

void Server::Impl::End(int code) {
  exit_code = code;
  for (auto& loop : loops) loop->Stop();
}

// Looks at what no event tells: readiness, and a storage engine that has died.
void Server::Impl::Watch() {
  if (engine->health() == storage::Health::kDead) {
    // A compaction met what cannot be read: nothing of the log is in question.
    if (engine->died_of_damage() && !draining && WhyNotSalvaged().empty()) return End(kAgain);
    log.Write(
        LogLevel::kError, "storage",
        engine->died_of_damage()
            ? "compaction met a file that cannot be read, so this node stops. Start it again: "
              "it copies the rest of its store, and the others refill what is missing"
            : "a write or sync of the log failed: what is on disk is not known, so this node "
              "stops at once. Check the disk, then start it again");
    log.Flush(kLastWords);
    std::_Exit(1);
  }
  if (node->refused()) return End(2);  // a mistake of people; the log has it
  if (node->wants_restart()) return End(kAfresh);
  if (!said_ready && node->admin(0).Health().ready) SayReady();
  if (engine->damaged() && !draining) Salvage();
  WatchClients();
  loops[0]->env().timers.After(kWatch, [this] { Watch(); });
}

// Figures that have no thread of a shard to count them, and a line now and then about clients that
// found no room.
void Server::Impl::WatchClients() {
  telemetry::Metrics& metrics = node->shard(0).metrics();
  metrics.log_dropped.Add(log.dropped() - metrics.log_dropped.value());
  uint64_t errors = 0;
  uint64_t shed = 0;
  uint64_t refused = 0;
  for (uint32_t i = 0; i < loops.size(); ++i) {
    const telemetry::Metrics& each = node->shard(i).metrics();
    errors += loops[i]->network_stats().accept_errors.value();
    shed += each.http_shed.value() + each.resp_shed.value();
    refused += each.http_refused[telemetry::HttpRefusal::kTooManyConnections].value() +
               each.resp_refused[telemetry::RespRefusal::kTooManyConnections].value();
  }
  metrics.accept_errors.Add(errors - metrics.accept_errors.value());
  const uint64_t crowded = errors + shed + refused;
  const base::Instant now = loops[0]->env().clock.Now();
  if (crowded == crowded_told || (crowded_at && now - *crowded_at < kCrowdedPause)) return;
  crowded_told = crowded;
  crowded_at = now;
  log.Log(
      LogLevel::kWarn, "clients",
      "more clients than the {} that this node takes: so far {} idle connections were closed "
      "for new ones, {} new ones refused, {} times no descriptor was left. The limits are "
      "http.connections_max and resp.connections_max for each shard, and the open files that are "
      "allowed ({})",
      plan.clients, shed, refused, errors, plan.allowed);
}

// Empty: nothing is in the way of ending, to open the store anew.
std::string Server::Impl::WhyNotSalvaged() {
  const auto size = engine->Stats().disk_bytes;
  const auto limit = static_cast<uint64_t>(settings.storage_salvage_max_bytes);
  if (size > limit) {
    return fmt::format("it has {} bytes, storage.salvage_max_bytes is {}", size, limit);
  }
  if (!allowed.end_again)
    return "it has happened too often since this process began: check the disk";
  for (const coordinator::NodeStatus& other : node->admin(0).Status().nodes) {
    const bool down = !other.self && !other.alive && other.state == "normal";
    if (down) return other.name + " is down too";
  }
  const base::Status fits = storage::CheckSalvage(FileOptions(settings, plan.store));
  return fits ? "" : fits.error().message;
}

// What cannot be read is missing only when the store has been copied without it, and compared.
void Server::Impl::Salvage() {
  const base::Instant now = loops[0]->env().clock.Now();
  if (!said_ready || (salvage_tried && now - *salvage_tried < kSalvagePause)) return;
  salvage_tried = now;
  std::string why = WhyNotSalvaged();
  if (why.empty()) {
    log.Write(LogLevel::kError, "storage",
              "a file of the store cannot be read: this node stops serving and opens its store "
              "again, which copies the rest of it");
    exit_code = kAgain;
    return Drain();
  }
  if (why == not_salvaged) return;
  not_salvaged = std::move(why);
  log.Log(LogLevel::kError, "storage",
          "a file of the store cannot be read. Restart this node, which copies the rest of it; it "
          "does not do so by itself: {}",
          not_salvaged);
}

void Server::Impl::OnSignal(int signal) {
  if (signal == SIGHUP) return Reload();
  if (draining && exit_code == kAgain) {
    exit_code = 0;  // it drains already, and stays away
    return;
  }
  if (draining || lingering) {
    log.Write(LogLevel::kWarn, "server", "second signal: stopping at once");
    return End(1);
  }
  // Whoever presses Ctrl-C waits himself, and there is no load balancer before him.
  if (signal == SIGTERM && settings.shutdown_linger_ms > 0) return Linger();
  Drain();
}

// Load balancers look now and then. Until they had time to, requests are served as ever.
void Server::Impl::Linger() {
  lingering = true;
  log.Log(LogLevel::kInfo, "server", "going: /readyz says so, and requests are served for {} ms",
          settings.shutdown_linger_ms);
  node->SetDraining();
  loops[0]->env().timers.After(base::Millis(settings.shutdown_linger_ms), [this] {
    if (!draining) Drain();
  });
}

void Server::Impl::Reload() {
  if (certificates) certificates->Reload();
  auto now = read_settings();
  if (!now) {
    log.Write(LogLevel::kError, "server", "configuration not applied: " + now.error().message);
    return;
  }
  const config::SettingsDiff diff = config::DiffLive(settings, *now);
  for (const auto* info : diff.restart) {
    log.Write(LogLevel::kWarn, "server", info->key() + " changed; it needs a restart");
  }
  for (const auto* info : diff.live) {
    log.Write(LogLevel::kInfo, "server", info->key() + " applied");
  }
  settings = config::WithLiveChanges(settings, *now);
  log.SetLevel(settings.log_level);
  node->ApplySettings(settings);
}

void Server::Impl::Drain() {
  draining = true;
  log.Write(LogLevel::kInfo, "server", "draining");
  node->SetDraining();
  for (size_t i = 0; i < loops.size(); ++i) {
    loops[i]->env().executor.Post([this, i] {
      // Peers may still finish what they have begun here; clients are sent elsewhere.
      loops[i]->network().StopListening();
      if (certificates) certificates->StopListening(i);
      http.frontends[i]->Drain();
      resp.frontends[i]->Drain();
    });
  }
  WaitForIdle(loops[0]->env().clock.Now() + base::Millis(settings.shutdown_drain_ms));
}

void Server::Impl::WaitForIdle(base::Instant give_up) {
  // Each shard counts its own work on its own thread; the last to be idle ends the server.
  auto busy = std::make_shared<std::atomic<size_t>>(0);  // co-owned by the shards' tasks
  auto open = std::make_shared<std::atomic<size_t>>(loops.size());
  for (uint32_t i = 0; i < loops.size(); ++i) {
    loops[i]->env().executor.Post([this, i, busy, open, give_up] {
      busy->fetch_add(node->shard(i).Busy());
      if (open->fetch_sub(1) > 1) return;
      const bool late = loops[i]->env().clock.Now() >= give_up;
      if (busy->load() == 0 || late) {
        if (late && busy->load() > 0) {
          log.Write(LogLevel::kWarn, "server", "requests still in work after the drain time");
        }
        // One more turn lets the last replies leave.
        loops[0]->env().executor.Post(
            [this] { loops[0]->env().timers.After(base::Millis(20), [this] { End(exit_code); }); });
        return;
      }
      loops[0]->env().executor.Post([this, give_up] {
        loops[0]->env().timers.After(base::Millis(10), [this, give_up] { WaitForIdle(give_up); });
      });
    });
  }
}

Server::Server(config::Settings settings,
               std::function<base::Result<config::Settings>()> read_settings, Allowed allowed)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(read_settings), allowed)) {}

Server::~Server() {
  // Frontends and node use the loops; the engine calls back into the node's shards.
  impl_->signals.reset();
  impl_->engine.reset();
  impl_->workers.reset();
  impl_->http.frontends.clear();
  impl_->resp.frontends.clear();
  impl_->checks.clear();
  impl_->node.reset();
  impl_->links.clear();
  impl_->loops.clear();
}

void Server::IgnoreReload() {
  impl_->signals.reset();
  std::signal(SIGHUP, SIG_IGN);
}

const config::Settings& Server::settings() const { return impl_->settings; }

base::Status Server::Open() {
  if (auto status = impl_->OpenCertificates(); !status) return status;
  if (auto status = impl_->OpenStorage(); !status) return status;
  auto stored = topology::LoadCluster(*impl_->engine);
  if (!stored) return Fail(stored.error());
  impl_->stored = std::move(*stored);
  const auto& topology = impl_->stored.topology;
  auto past = node::LoadPast(*impl_->engine, topology);
  if (!past) return Fail(past.error());
  impl_->past = std::move(*past);
  const auto* self = topology ? topology->Find(impl_->identity.id) : nullptr;
  auto placed = node::CheckPlacement(*impl_->engine, impl_->settings, self, impl_->log);
  if (!placed && placed.error().code == Code::kConflict) {
    return Fail(Code::kInvalidArgument, placed.error().message);
  }
  if (!placed) return placed;
  const size_t members = topology ? topology->members.size() : 1;
  if (auto planned = impl_->PlanDescriptors(members); !planned) return planned;
  auto generation = peers::DrawGeneration(*impl_->engine, impl_->loops[0]->env().clock.Wall());
  if (!generation) return Fail(generation.error());
  impl_->generation = *generation;
  if (auto status = impl_->OpenAccess(); !status) return status;
  if (auto status = impl_->OpenPeerListeners(); !status) return status;
  if (auto status = impl_->OpenDoors(); !status) return status;
  impl_->BuildNode();
  impl_->MakeFrontends();
  impl_->SayDescriptors();
  return {};
}

int Server::Run() {
  Impl& s = *impl_;
  s.signals = std::make_unique<env::posix::Signals>(s.loops[0].get(),
                                                    std::vector<int>{SIGTERM, SIGINT, SIGHUP},
                                                    [&s](int signal) { s.OnSignal(signal); });
  s.node->Start();
  s.loops[0]->env().executor.Post([&s] {
    if (s.certificates) s.certificates->Start();
    s.CheckAdvertised();
    s.Watch();
  });
  for (size_t i = 1; i < s.loops.size(); ++i) s.loops[i]->Start();
  s.loops[0]->Run();
  for (auto& loop : s.loops) loop->Stop();
  for (size_t i = 1; i < s.loops.size(); ++i) s.loops[i]->Join();
  return s.exit_code;
}

}  // namespace lariat::lariatd
