// SPDX-License-Identifier: Apache-2.0
// Opening. The rest of LogEngine is in engine.cc.
#include <algorithm>
#include <utility>

#include "base/uuid.h"
#include "storage/log/posix_disk.h"
#include "storage/log_engine/internal/engine.h"

namespace lariat::storage {

namespace log_engine {

using base::Code;
using base::Fail;

namespace {

constexpr uint32_t kSlots = 8;
constexpr uint64_t kSegmentBytesMin = 64 << 10;
constexpr uint64_t kSegmentBytesMax = 1ULL << 30;

}  // namespace

// What the log holds, into the tables; or nowhere, if it is out of date.
class LogEngine::IntoTables final : public log::Replay {
 public:
  explicit IntoTables(LogEngine* engine) : engine_(engine) {}
  base::Status OnBatch(log::Lsn end, WriteBatch batch) override {
    if (engine_->files_->used_by_others()) return {};
    return engine_->OnReplayed(end, batch);
  }

 private:
  LogEngine* const engine_;
};

base::Status LogEngine::Open() {
  if (auto opened = OpenLog(); !opened) return opened;
  if (auto noted = files_->LogIsElsewhere(); !noted) return noted;
  committer_.emplace([this] { return SyncLog(); },
                     std::chrono::milliseconds(options_.files.periodic_sync_ms));
  // The first frame begins a segment.
  const log::LogStats log = log_->Stats();
  if (log.live_slots == log.slots) {
    if (auto flushed = FlushNow(); !flushed) return flushed;
  }
  if (auto taken = TakeNotes(); !taken) return taken;
  flusher_ = std::thread([this] { RunFlusher(); });
  return {};
}

base::Result<log::LogOptions> LogEngine::LogSettings() {
  const auto text = files_->StoreId();
  if (!text) return Fail(text.error());
  const auto store = base::Uuid::Parse(*text);
  if (!store) return Fail(Code::kCorruption, "the store's id '" + *text + "' is none");
  log::LogOptions settings;
  const uint64_t bytes = LogDirectory(options_.files.directory).Fitted(options_.log_bytes);
  const uint64_t segment = std::clamp(bytes / kSlots, kSegmentBytesMin, kSegmentBytesMax);
  settings.shape = {*store, segment / log::kBlock * log::kBlock, kSlots};
  return settings;
}

base::Status LogEngine::OpenLog() {
  const auto settings = LogSettings();
  if (!settings) return Fail(settings.error());
  const LogDirectory directory(options_.files.directory);
  if (files_->log_was_elsewhere() && !directory.Exists()) {
    if (auto noted = files_->NoteCut(); !noted) return noted;
  }
  for (bool again = false;; again = true) {
    if (auto made = directory.Make(); !made) return made;
    IntoTables replay(this);
    auto opened = log::Log::Open(*settings, world_.make_disk(directory.path()), nullptr,
                                 world_.clock, &replay);
    const bool useless = !opened && opened.error().code == Code::kCorruption;
    if (!opened && !useless) return Fail(opened.error());
    bool stale = useless;
    if (opened) {
      const log::Recovered& found = (*opened)->recovered();
      const bool any = found.batches > 0 || found.ending == log::Ending::kDamaged;
      stale = any && files_->used_by_others();
      const bool as_asked = any || (*opened)->shape() == settings->shape;
      if ((!stale && as_asked) || again) {
        log_ = *std::move(opened);
        return {};
      }
      opened->reset();
    }
    // What it held is lost, and that is said before it goes.
    if (auto noted = stale ? files_->NoteCut() : base::Status(); !noted) return noted;
    if (auto dropped = directory.Drop(); !dropped) return dropped;
    if (useless && again) return Fail(opened.error());
  }
}

base::Status LogEngine::OnReplayed(log::Lsn end, const WriteBatch& batch) {
  const Tables::Parts parts = Tables::PartsOf(batch);
  bool room = false;
  {
    const Tables::Lock lock(tables_, parts);
    room = tables_.HasRoom(batch);
  }
  if (!room) {
    // As in FlushNow, where the log is open.
    if (auto synced = SyncSlots(); !synced) return synced;
    if (auto flushed = FlushNow(); !flushed) return flushed;
  }
  const Tables::Lock lock(tables_, parts);
  (void)tables_.Apply(batch, end);
  replayed_ = end;
  return {};
}

base::Status LogEngine::SyncSlots() {
  const auto disk = world_.make_disk(LogDirectory(options_.files.directory).path());
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    if (!disk->Size(log::FileOfSlot(slot))) continue;
    if (auto synced = disk->Sync(log::FileOfSlot(slot)); !synced) return synced;
  }
  return {};
}

base::Status LogEngine::TakeNotes() {
  if (log_->recovered().ending == log::Ending::kDamaged) {
    WriteBatch cut;
    cut.Put(Space::kMeta, std::string(kLogCutKey), std::string(kCutOfOwnLog));
    if (auto written = WriteNow(cut); !written) return written;
  }
  const auto of_files = files_->GetBlocking(Space::kMeta, kSalvagedKey);
  auto salvaged = GetBlocking(Space::kMeta, kSalvagedKey);
  // The copy has no hash trees, and what the log has of them is no whole.
  if (auto wiped = of_files ? Wipe(Space::kTree) : base::Status(); !wiped) return wiped;
  if (of_files && !salvaged) {
    // The log is older than the salvage: what it removed was the note of an earlier one.
    WriteBatch again;
    again.Put(Space::kMeta, std::string(kSalvagedKey), *of_files);
    if (auto written = WriteNow(again); !written) return written;
    salvaged = of_files;
  }
  salvaged_ = salvaged || salvaged.error().code != Code::kNotFound;
  const auto cut = GetBlocking(Space::kMeta, kLogCutKey);
  log_truncated_ = cut || cut.error().code != Code::kNotFound;
  if (salvaged && *salvaged == "truncated") log_truncated_ = true;
  return {};
}

base::Status LogEngine::Wipe(Space space) {
  for (std::string from;;) {
    const auto entries = Merge(ScanRequestOf({space, from, ""}, {}));
    if (!entries) return Fail(entries.error());
    if (entries->empty()) return {};
    WriteBatch removal;
    for (const Entry& entry : *entries) removal.Remove(space, entry.key);
    if (auto written = WriteNow(removal); !written) return written;
    from = entries->back().key + '\0';
  }
}

base::Status LogEngine::WriteNow(const WriteBatch& batch) {
  if (auto written = Write(batch); !written) return written;
  return SyncUpTo(log_->end());
}

base::Result<std::unique_ptr<Engine>> OpenLogEngineIn(const LogEngineOptions& options,
                                                      const World& world) {
  auto files = OpenRocksFiles(options.files, world.env);
  if (!files) return Fail(files.error());
  auto engine = std::make_unique<LogEngine>(options, world, *std::move(files));
  if (auto opened = engine->Open(); !opened) return Fail(opened.error());
  return engine;
}

namespace {

// What the log holds is in files when this says ok.
base::Status EmptyLog(const LogEngineOptions& options, const World& world) {
  auto files = OpenRocksFiles(options.files, world.env);
  if (!files) return Fail(files.error());
  LogEngine engine(options, world, *std::move(files));
  if (auto opened = engine.Open(); !opened) return opened;
  return engine.Close();
}

}  // namespace

}  // namespace log_engine

base::Result<std::unique_ptr<Engine>> OpenEngine(EngineKind kind, const LogEngineOptions& options,
                                                 const env::Clock& clock) {
  log_engine::World world;
  world.clock = &clock;
  world.make_disk = [](const std::string& directory) { return log::MakePosixDisk(directory); };
  if (kind == EngineKind::kLog) return log_engine::OpenLogEngineIn(options, world);
  const log_engine::LogDirectory directory(options.files.directory);
  if (directory.Exists()) {
    if (auto emptied = log_engine::EmptyLog(options, world); !emptied) {
      return base::Fail(emptied.error());
    }
    if (auto dropped = directory.Drop(); !dropped) return base::Fail(dropped.error());
  }
  return OpenRocksEngine(options.files);
}

}  // namespace lariat::storage
