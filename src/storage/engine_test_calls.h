// SPDX-License-Identifier: Apache-2.0
// For tests of engines and of what stands on them: calls that wait for their completion.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/engine.h"

namespace lariat::storage::contract {

// A shard's executor for tests: tasks run only inside RunUntil.
class TestQueue : public CompletionQueue {
 public:
  // False if it never happens, or not as long as a test may wait.
  virtual bool RunUntil(const std::function<bool()>& finished) = 0;
};

inline base::Result<std::string> GetAndWait(Engine* engine, TestQueue* queue, Space space,
                                            const std::string& key) {
  std::optional<base::Result<std::string>> answer;
  engine->Get(space, key, queue,
              [&](base::Result<std::string> result) { answer = std::move(result); });
  if (!queue->RunUntil([&] { return answer.has_value(); })) {
    return base::Fail(base::Code::kTimeout, "no answer");
  }
  return *answer;
}

inline base::Status FlushAndWait(Engine* engine, TestQueue* queue, Space space) {
  std::optional<base::Status> answer;
  engine->Flush(space, queue, [&](base::Status status) { answer = std::move(status); });
  if (!queue->RunUntil([&] { return answer.has_value(); })) {
    return base::Fail(base::Code::kTimeout, "no answer");
  }
  return *answer;
}

inline base::Status WriteApartAndWait(Engine* engine, TestQueue* queue, const std::string& bytes) {
  std::optional<base::Status> answer;
  engine->WriteApart(bytes, queue, [&](base::Status status) { answer = std::move(status); });
  if (!queue->RunUntil([&] { return answer.has_value(); })) {
    return base::Fail(base::Code::kTimeout, "no answer");
  }
  return *answer;
}

inline base::Status SyncAndWait(Engine* engine, TestQueue* queue) {
  std::optional<base::Status> answer;
  engine->Sync(queue, [&](base::Status status) { answer = std::move(status); });
  if (!queue->RunUntil([&] { return answer.has_value(); })) {
    return base::Fail(base::Code::kTimeout, "no answer");
  }
  return *answer;
}

inline base::Result<std::vector<Entry>> ScanAndWait(Engine* engine, TestQueue* queue,
                                                    const std::string& from, const std::string& to,
                                                    ScanLimits limits = {}) {
  std::optional<base::Result<std::vector<Entry>>> answer;
  engine->Scan(Space::kData, from, to, limits, queue,
               [&](base::Result<std::vector<Entry>> result) { answer = std::move(result); });
  if (!queue->RunUntil([&] { return answer.has_value(); })) {
    return base::Fail(base::Code::kTimeout, "no answer");
  }
  return *answer;
}

inline base::Status PutOne(Engine* engine, Space space, const std::string& key,
                           const std::string& value) {
  WriteBatch batch;
  batch.Put(space, key, value);
  return engine->Write(batch);
}

}  // namespace lariat::storage::contract
