// SPDX-License-Identifier: Apache-2.0
// What needs the files: reads that missed memory, and scans. The rest of LogEngine is in engine.cc.
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "storage/log_engine/internal/engine.h"

namespace lariat::storage::log_engine {

using base::Code;
using base::Fail;

namespace {

// Reads that are asked for in one turn of a shard go to the files together, but not so many that
// other I/O threads have nothing to do.
constexpr size_t kReadsAtOnce = 16;

base::Error TooMany() { return {Code::kOverloaded, "too many reads wait for the disk"}; }

void Answer(CompletionQueue* queue, Engine::GetDone done, base::Result<std::string> answer) {
  queue->Post(
      [done = std::move(done), answer = std::move(answer)]() mutable { done(std::move(answer)); });
}

// Answers of one queue, as one task.
struct Answers {
  std::vector<std::pair<Engine::GetDone, base::Result<std::string>>> answers;
  void operator()() {
    for (auto& [done, result] : answers) done(std::move(result));
  }
};

}  // namespace

void LogEngine::Get(Space space, std::string key, CompletionQueue* queue, GetDone done) {
  table::ReadToken token;
  if (auto known = Known(space, key, &token)) {
    return Answer(queue, std::move(done), *std::move(known));
  }
  bool ask = false;
  {
    const std::lock_guard lock(reads_mutex_);
    if (reads_.size() >= options_.files.io_queue_max) {
      return Answer(queue, std::move(done), Fail(TooMany()));
    }
    reads_.push_back({space, std::move(key), token, queue, std::move(done)});
    ask = !std::exchange(reads_asked_, true);
  }
  if (ask) AskToRead();
}

void LogEngine::AskToRead() {
  base::UniqueFunction<void()> task = [this] { ReadSome(); };
  if (files_->Run(task)) return;
  std::vector<Read> refused;
  {
    const std::lock_guard lock(reads_mutex_);
    refused = std::exchange(reads_, {});
    reads_asked_ = false;
  }
  for (Read& read : refused) Answer(read.queue, std::move(read.done), Fail(TooMany()));
}

void LogEngine::ReadSome() {
  std::vector<Read> reads;
  bool ask = false;
  {
    const std::lock_guard lock(reads_mutex_);
    const auto end =
        reads_.begin() + static_cast<std::ptrdiff_t>(std::min(reads_.size(), kReadsAtOnce));
    reads.assign(std::make_move_iterator(reads_.begin()), std::make_move_iterator(end));
    reads_.erase(reads_.begin(), end);
    ask = !reads_.empty();
    reads_asked_ = ask;
  }
  if (ask) AskToRead();  // another thread goes on
  std::map<CompletionQueue*, Answers> by_queue;
  for (size_t i = 0; i < kSpaces; ++i) {
    std::vector<Read*> of_space;
    std::vector<std::string> keys;
    for (Read& read : reads) {
      if (read.space != static_cast<Space>(i)) continue;
      of_space.push_back(&read);
      keys.push_back(read.key);
    }
    if (keys.empty()) continue;
    std::vector<base::Result<std::string>> results = files_->GetMany(static_cast<Space>(i), keys);
    for (size_t k = 0; k < keys.size(); ++k) {
      Read& read = *of_space[k];
      Fill(read.space, read.key, results[k], read.token);
      by_queue[read.queue].answers.emplace_back(std::move(read.done), std::move(results[k]));
    }
  }
  for (auto& [queue, answers] : by_queue) queue->Post(std::move(answers));
}

// --- ranges ------------------------------------------------------------------------------------

void LogEngine::Scan(Space space, std::string from, std::string to, ScanLimits limits,
                     CompletionQueue* queue, ScanDone done) {
  ScanRequest request = ScanRequestOf({space, std::move(from), std::move(to)}, limits);
  // Shared between the task and the refusal below, which needs the callback back.
  auto finish = std::make_unique<ScanDone>(std::move(done));
  ScanDone* const refused = finish.get();
  base::UniqueFunction<void()> task = [this, request = std::move(request), queue,
                                       finish = std::move(finish)]() mutable {
    base::Result<std::vector<Entry>> result = Merge(request);
    request.snapshot = nullptr;
    queue->Post([finish = std::move(finish), result = std::move(result)]() mutable {
      (*finish)(std::move(result));
    });
  };
  if (files_->Run(task)) return;
  queue->Post([finish = std::move(*refused)]() mutable { finish(Fail(TooMany())); });
}

// What is unflushed and the files' snapshot are of one moment: no batch is written between them,
// and what a flush puts into the files meanwhile is still unflushed here.
LogEngine::ScanRequest LogEngine::ScanRequestOf(Files::Range range, const ScanLimits& limits) {
  ScanRequest request{std::move(range), limits, {}, nullptr};
  const Files::Range& r = request.range;
  const Tables::Lock lock(tables_, Tables::PartsOf(r.space, r.from, r.to));
  request.snapshot = files_->TakeSnapshot();
  request.unflushed = tables_.Scan(r.space, r.from, r.to, limits);
  return request;
}

base::Result<std::vector<Entry>> LogEngine::Merge(const ScanRequest& request) {
  const Tables::Unflushed& unflushed = request.unflushed;
  if (unflushed.lost) return Fail(files_->DeadError());
  Files::Range range = request.range;
  if (unflushed.next) range.to = *unflushed.next;
  const auto cursor = files_->Scan(range, request.snapshot);
  std::vector<Entry> entries;
  size_t bytes = 0;
  // False: no more.
  const auto add = [&](std::string_view key, std::string_view value) {
    bytes += key.size() + value.size();
    if (bytes > request.limits.bytes_max && !entries.empty()) return false;
    entries.push_back({std::string(key), std::string(value)});
    return true;
  };
  auto newer = unflushed.versions.begin();
  const auto newer_end = unflushed.versions.end();
  bool more = true;
  while (more && entries.size() < request.limits.entries_max) {
    const bool is_newer = newer != newer_end && (range.to.empty() || (*newer)->key() < range.to);
    if (!is_newer && !cursor->Valid()) break;
    if (!is_newer || (cursor->Valid() && cursor->key() < (*newer)->key())) {
      more = add(cursor->key(), cursor->value());
      cursor->Next();
      continue;
    }
    if (cursor->Valid() && cursor->key() == (*newer)->key()) cursor->Next();
    if (!(*newer)->absent()) more = add((*newer)->key(), (*newer)->bytes());
    ++newer;
  }
  if (auto status = cursor->status(); !status) return Fail(std::move(status.error()));
  return entries;
}

}  // namespace lariat::storage::log_engine
