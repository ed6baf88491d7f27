// SPDX-License-Identifier: Apache-2.0
#include "replica/requests/scanner.h"

#include <algorithm>
#include <utility>

#include "causal/object.h"

namespace lariat::replica {

using base::Code;
using base::Fail;

namespace {

constexpr storage::ScanLimits kStep = {512, 1 << 20};
constexpr size_t kEntryBytes = 24;  // digest and framing

ScanResult::Entry EntryOf(const ScanQuery& query, storage::Entry stored) {
  ScanResult::Entry entry{std::move(stored.key)};
  const auto record = storage::ParseRecord(stored.value);
  if (!record) return entry;
  entry.digest = causal::Object::Digest(record->object);
  if (query.form == ScanForm::kObjects) entry.object = std::string(record->object);
  if (query.form != ScanForm::kLive) return entry;
  const auto object = causal::Object::Decode(record->object);
  if (!object) entry.digest = {};
  entry.live = object && object->HasLiveValue(query.now);
  return entry;
}

}  // namespace

struct Scanner::Job {
  ScanQuery query;
  MayGoOn may_go_on;
  Done done;
  ScanResult result;
  size_t bytes = 0;
};

void Scanner::Scan(ScanQuery query, MayGoOn may_go_on, Done done) {
  auto job = std::make_shared<Job>(Job{std::move(query), std::move(may_go_on), std::move(done)});
  if (!RefuseDoubt(job)) Step(job);
}

bool Scanner::RefuseDoubt(const JobPtr& job) const {
  const Doubt* doubt = records_.DoubtAbout(job->query.bucket);
  if (doubt != nullptr) {
    job->done(Fail(Code::kUnavailable, std::string(kInDoubt) + ": " + doubt->why));
  }
  return doubt != nullptr;
}

void Scanner::Step(const JobPtr& job) {
  const storage::ScanLimits limits = {
      std::min(kStep.entries_max, job->query.entries_max - job->result.entries.size()),
      kStep.bytes_max};
  env_.engine.Scan(storage::Space::kData, job->query.from, job->query.to, limits, &env_.queue,
                   lifetime_.Guard([this, job](base::Result<std::vector<storage::Entry>> entries) {
                     if (entries) return OnEntries(job, std::move(*entries));
                     const bool busy = entries.error().code == Code::kOverloaded;
                     if (!busy) env_.metrics.replica_read_errors.Add();
                     job->done(Fail(std::move(entries.error())));
                   }));
}

void Scanner::OnEntries(const JobPtr& job, std::vector<storage::Entry> entries) {
  std::vector<ScanResult::Entry>& told = job->result.entries;
  bool over = entries.empty();
  for (storage::Entry& stored : entries) {
    ScanResult::Entry entry = EntryOf(job->query, std::move(stored));
    if (entry.digest == base::Hash128{}) env_.metrics.replica_read_errors.Add();
    const size_t bytes = entry.key.size() + entry.object.size() + kEntryBytes;
    if (!told.empty() && job->bytes + bytes > job->query.bytes_max) {
      job->result.next = std::move(entry.key);
      return Finish(job);
    }
    job->bytes += bytes;
    told.push_back(std::move(entry));
  }
  if (over) return Finish(job);
  job->query.from = told.back().key + '\0';
  over = told.size() >= job->query.entries_max || !job->may_go_on();
  if (!over) return Step(job);
  job->result.next = job->query.from;
  Finish(job);
}

// Nothing that may still vanish is told: records may have been met before their sync.
void Scanner::Finish(const JobPtr& job) {
  env_.engine.Sync(&env_.queue, lifetime_.Guard([this, job](const base::Status& status) {
    if (!status) return job->done(Fail(status.error()));
    if (records_.EngineIsDead()) return job->done(Fail(Code::kIo, "the storage engine has failed"));
    if (!RefuseDoubt(job)) job->done(std::move(job->result));
  }));
}

}  // namespace lariat::replica
