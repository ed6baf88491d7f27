// SPDX-License-Identifier: Apache-2.0
#include "sim/world/machine.h"

#include <deque>
#include <utility>

#include "base/check.h"
#include "causal/object.h"
#include "storage/record.h"

namespace lariat::sim {

namespace {

class TraceLog final : public telemetry::LogSink {
 public:
  TraceLog(Scheduler& scheduler, Trace& trace, int machine)
      : scheduler_(scheduler), trace_(trace), machine_(machine) {}
  bool Enabled(telemetry::LogLevel) const override { return trace_.recording(); }
  void Write(telemetry::LogLevel, std::string_view module, std::string text) override {
    trace_.Line(scheduler_.Now(), machine_, std::string(module) + ": " + text);
  }

 private:
  Scheduler& scheduler_;
  Trace& trace_;
  int machine_;
};

}  // namespace

// The Env of one shard in one life.
class Machine::ShardWorld final : public env::Clock,
                                  public env::Entropy,
                                  public env::Executor,
                                  public env::Timers {
 public:
  ShardWorld(Machine& machine, uint64_t seed) : machine_(machine), prng_(seed) {}

  base::Instant Now() const override { return machine_.world_.scheduler.Now(); }
  base::WallTime Wall() const override { return {WallMicros() / 1000}; }
  int64_t WallMicros() const override {
    const base::Instant shown = machine_.world_.scheduler.Now() + machine_.wall_skew_;
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(
        shown.time_since_epoch() % std::chrono::milliseconds(1));
    return (WallAt(shown).ms + machine_.wall_offset_ms_) * 1000 + micros.count();
  }
  uint64_t Next() override { return prng_.Next(); }

  // Tasks run in turns: what is posted during one turn waits for the next, as in a real loop.
  void Post(env::Task task) override {
    tasks_.push_back(std::move(task));
    if (turn_scheduled_) return;
    turn_scheduled_ = true;
    const auto latency = base::Duration(1000 + prng_turns_.Below(20000));
    machine_.RunAt(Now() + latency, [this] { Turn(); });
  }
  env::TimerId After(base::Duration delay, env::Task task) override {
    return machine_.RunAt(Now() + delay, std::move(task));
  }
  void Cancel(env::TimerId id) override { machine_.world_.scheduler.Cancel(id); }

 private:
  void Turn() {
    turn_scheduled_ = false;
    std::deque<env::Task> tasks = std::exchange(tasks_, {});
    for (env::Task& task : tasks) task();
  }

  Machine& machine_;
  base::Prng prng_;
  base::Prng prng_turns_{prng_.Next()};
  std::deque<env::Task> tasks_;
  bool turn_scheduled_ = false;
};

// Members are destroyed from the last to the first: the node before its world.
struct Machine::Process {
  std::unique_ptr<TraceLog> log;
  std::vector<std::unique_ptr<ShardWorld>> worlds;
  std::vector<std::unique_ptr<Transport>> transports;
  std::unique_ptr<node::Node> node;
};

Machine::Machine(World world, int number, config::Settings settings, uint64_t seed,
                 Disk::OnRecord on_record)
    : world_(world),
      number_(number),
      settings_(std::move(settings)),
      seed_(seed),
      disk_(world.scheduler, world.options, base::Prng(seed + 1), world.bug, std::move(on_record)) {
}

Machine::~Machine() = default;

void Machine::Start() {
  LARIAT_CHECK(process_ == nullptr, "a machine runs one process");
  ++life_;
  wanted_ = true;
  paused_until_ = {};
  process_ = std::make_unique<Process>();
  Process& p = *process_;
  p.log = std::make_unique<TraceLog>(world_.scheduler, world_.trace, number_);
  const uint64_t lives = world_.bug == Bug::kReusedIncarnation ? 1 : life_;
  base::Prng seeds(seed_ + 1000 * lives);
  std::vector<node::Shard::World> worlds;
  for (uint32_t i = 0; i < Shards(); ++i) {
    p.worlds.push_back(std::make_unique<ShardWorld>(*this, seeds.Next()));
    p.transports.push_back(std::make_unique<Transport>(world_.network, number_, i, life_));
    ShardWorld& w = *p.worlds.back();
    worlds.push_back({env::Env{w, w, w, w}, *p.transports.back()});
  }
  node::NodeOptions options;
  options.settings = settings_;
  options.version = "sim";
  auto identity = node::LoadIdentity(disk_, *p.worlds[0], settings_.node_name);
  if (!identity) return FailToStart();
  options.identity = *identity;
  id_ = identity->id;
  options.addresses.peer = Address();
  auto stored = topology::LoadCluster(disk_);
  if (!stored) return FailToStart();
  options.stored = std::move(*stored);
  auto past = node::LoadPast(disk_, options.stored.topology);
  if (!past) return FailToStart();
  options.past = std::move(*past);
  auto generation = peers::DrawGeneration(disk_, p.worlds[0]->Wall());
  if (!generation) return FailToStart();
  options.generation = *generation;
  world_.trace.Note(world_.scheduler.Now(), number_, "", "", [] { return "started"; });
  p.node = std::make_unique<node::Node>(std::move(options), std::move(worlds), disk_, *p.log);
  p.node->Start();
}

void Machine::BecomeCopy(std::string name, storage::MemoryEngine::Image image) {
  settings_.node_name = std::move(name);
  disk_.Restore(std::move(image));
}

void Machine::Discard() {
  wanted_ = false;
  id_.reset();
  disk_.Restore({});
}

// The disk refused a write: the program ends, and its supervisor starts it again.
void Machine::FailToStart() {
  process_.reset();
  const uint64_t life = ++life_;
  world_.scheduler.After(base::Millis(10), [this, life] {
    if (life_ == life && process_ == nullptr) Start();
  });
}

void Machine::Stop(bool power_cut) {
  LARIAT_CHECK(process_ != nullptr, "only what runs can be stopped");
  world_.trace.Note(world_.scheduler.Now(), number_, "", "",
                    [&] { return power_cut ? "power cut" : "killed"; });
  world_.network.OnDown(number_);
  ++life_;  // drops every task of this life
  disk_.Crash(power_cut);
  process_.reset();
}

void Machine::Pause(base::Duration length) {
  paused_until_ = std::max(paused_until_, world_.scheduler.Now() + length);
}

node::Node& Machine::node() {
  LARIAT_CHECK(process_ != nullptr, "the machine is down");
  return *process_->node;
}

bool Machine::SeesAll() const {
  if (process_ == nullptr) return false;
  node::Node& node = *process_->node;
  if (node.refused() || node.past().twin().phase() == wire::RunPhase::kAside) return false;
  for (uint32_t i = 0; i < Shards(); ++i) {
    const node::Shard& shard = process_->node->shard(i);
    if (!shard.view()) return false;
    if (shard.peers().PeersAlive() + 1 != shard.view()->ring.size()) return false;
  }
  return true;
}

std::shared_ptr<const membership::View> Machine::View() const {
  return process_ == nullptr ? nullptr : process_->node->shard(0).view();
}

uint64_t Machine::Fence() const {
  const auto view = View();
  return view ? view->fence() : 0;
}

bool Machine::KnowsAsGone(const Party& other) const {
  const auto view = View();
  return view && other.Id() && view->topology.FindRemoved(*other.Id()) != nullptr;
}

std::optional<base::Hash128> Machine::DigestOf(const std::string& data_key) {
  const auto record = disk_.GetBlocking(storage::Space::kData, data_key);
  const auto view = record ? storage::ParseRecord(*record) : base::Fail(record.error());
  if (!view) return std::nullopt;
  return causal::Object::Digest(view->object);
}

void Machine::Post(uint32_t shard, env::Task task) {
  process_->worlds[shard]->Post(std::move(task));
}

uint64_t Machine::RunAt(base::Instant when, env::Task task) {
  return world_.scheduler.At(when, [this, life = life_, task = std::move(task)]() mutable {
    Deliver(life, std::move(task));
  });
}

void Machine::Deliver(uint64_t life, env::Task task) {
  if (life != life_) return;
  if (paused_until_ > world_.scheduler.Now()) {
    world_.scheduler.At(paused_until_, [this, life, task = std::move(task)]() mutable {
      Deliver(life, std::move(task));
    });
    return;
  }
  world_.trace.Mix(world_.scheduler.Now(), number_, "run", "");
  task();
}

}  // namespace lariat::sim
