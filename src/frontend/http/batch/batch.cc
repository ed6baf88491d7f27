// SPDX-License-Identifier: Apache-2.0
// Many operations in one request. All of them begin in the same turn, so that what they ask of one
// node leaves in one frame; each has its own deadline and outcome, and the reply goes out when the
// last one has ended. Of two operations on one key nothing is said about the order.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/http/batch/items.h"
#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/kv_reply.h"
#include "frontend/http/internal/kv_request.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using telemetry::Op;
using telemetry::Outcome;

// Co-owned by the callbacks of its items. Results are kept as text until all are there.
class Batch {
 public:
  Batch(Exchange exchange, size_t count)
      : exchange_(std::move(exchange)),
        start_(exchange_.shared().env.clock.Now()),
        results_(count),
        open_(count) {}

  const coordinator::Caller& caller() const { return exchange_.caller(); }
  Shared& shared() const { return exchange_.shared(); }

  void OnGet(size_t index, const std::string& key,
             const base::Result<coordinator::GetReply>& result) {
    if (!result) return OnError(index, Op::kGet, result.error());
    if (result->values.empty()) {
      const Refusal none = ToRefusal({Code::kNotFound, "the key has no value"});
      return End(index, Op::kGet, Outcome::kNotFound, ErrorResult(none, result->context));
    }
    // Before it is written: values may be large, and many.
    if (bytes_ + ShownBytes(*result) / 3 * 4 > kBatchReplyBytesMax) {
      return OnError(index, Op::kGet,
                     {Code::kTooLarge, "the reply to the batch would have more than " +
                                           std::to_string(kBatchReplyBytesMax) +
                                           " bytes; read this key by itself"});
    }
    End(index, Op::kGet, Outcome::kOk, GetResult(key, *result));
  }
  void OnWrite(size_t index, const std::string& key, bool is_delete,
               const base::Result<coordinator::WriteReply>& result) {
    const Op op = is_delete ? Op::kDelete : Op::kPut;
    if (!result) return OnError(index, op, result.error());
    End(index, op, Outcome::kOk, WriteResult(key, is_delete, *result));
  }
  void OnError(size_t index, Op op, const base::Error& error) {
    End(index, op, OutcomeOf(error.code), ErrorResult(ToRefusal(error)));
  }

 private:
  void End(size_t index, Op op, Outcome outcome, std::string result) {
    if (!shared().alive) return;
    telemetry::Metrics& metrics = shared().metrics;
    metrics.requests.At(op, outcome).Add();
    metrics.request_seconds[op].Record(shared().env.clock.Now() - start_);
    bytes_ += result.size();
    results_[index] = std::move(result);
    if (--open_ == 0) Answer();
  }
  void Answer() {
    exchange_.Answer(Outcome::kOk, [this](Shared& shared, const Pending& waiting) {
      std::string body = R"({"results":[)";
      body.reserve(bytes_ + results_.size() + 16);
      for (const std::string& result : results_) {
        if (body.back() == '}') body += ',';
        body += result;
      }
      body += "]}";
      return ReplyBuilder(shared, waiting.form, 200).Move(kJsonType, std::move(body));
    });
  }

  Exchange exchange_;
  base::Instant start_;
  std::vector<std::string> results_;
  size_t open_;
  size_t bytes_ = 0;
};
using BatchPtr = std::shared_ptr<Batch>;

void Start(const BatchPtr& batch, size_t index, coordinator::GetRequest get) {
  get.caller = batch->caller();
  std::string key = get.key;
  batch->shared().kv.Get(std::move(get), [batch, index, key = std::move(key)](
                                             const base::Result<coordinator::GetReply>& result) {
    batch->OnGet(index, key, result);
  });
}

void Start(const BatchPtr& batch, size_t index, coordinator::WriteRequest write) {
  write.caller = batch->caller();
  const bool is_delete = write.write.is_delete;
  std::string key = write.key;
  batch->shared().kv.Write(std::move(write),
                           [batch, index, is_delete, key = std::move(key)](
                               const base::Result<coordinator::WriteReply>& result) {
                             batch->OnWrite(index, key, is_delete, result);
                           });
}

base::Result<BatchDefaults> ReadDefaults(const Request& request, const Exchange& exchange) {
  for (const Header header : {Header::kXContext, Header::kIfMatch, Header::kIfNoneMatch,
                              Header::kXTtl, Header::kXClientTimestamp}) {
    if (request.Has(header)) {
      return Bad(std::string(HeaderName(header)) +
                 " has no meaning for a batch, only for its items");
    }
  }
  BatchDefaults defaults;
  defaults.shared = &exchange.shared();
  defaults.caller = exchange.caller();
  auto bucket = BucketOf(request);
  if (!bucket) return base::Fail(std::move(bucket.error()));
  auto consistency = ReadConsistency(request);
  if (!consistency) return base::Fail(std::move(consistency.error()));
  if (const auto text = request.Get(Header::kIdempotencyKey)) {
    auto key = ParseIdempotencyKey(*text, HeaderName(Header::kIdempotencyKey));
    if (!key) return base::Fail(std::move(key.error()));
    defaults.idempotency_key = std::move(*key);
  }
  defaults.bucket = std::move(*bucket);
  defaults.consistency = *consistency;
  return defaults;
}

}  // namespace

void PostBatch(Request& request, Exchange exchange) {
  const auto defaults = ReadDefaults(request, exchange);
  if (!defaults) return exchange.Refuse(defaults.error());
  const auto texts = SplitBatch(request.body);
  if (!texts) return exchange.Refuse(texts.error());
  std::vector<base::Result<BatchItem>> items;
  items.reserve(texts->size());
  for (const std::string_view text : *texts)
    items.push_back(ReadItem(text, items.size(), *defaults));
  telemetry::Metrics& metrics = exchange.shared().metrics;
  metrics.batches.Add();
  metrics.batch_items.Add(items.size());
  const auto batch = std::make_shared<Batch>(std::move(exchange), items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i]) {
      batch->OnError(i, Op::kPut, items[i].error());
      continue;
    }
    std::visit([&](auto& one) { Start(batch, i, std::move(one)); }, *items[i]);
  }
}

}  // namespace lariat::frontend::http
