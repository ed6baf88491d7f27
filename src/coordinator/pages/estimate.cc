// SPDX-License-Identifier: Apache-2.0
#include "coordinator/pages/estimate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace lariat::coordinator {
namespace {

constexpr uint64_t kPlaces = 8;
constexpr uint64_t kPlaceWidth = (UINT64_MAX / kPlaces) + 1;
constexpr double kRing = 18446744073709551616.0;  // 2^64
constexpr size_t kLargestMax = 10;

// Keys first, place by place; then, if asked for, values at the same places.
struct Sampling {
  Pages& pages;
  EstimateRequest request;
  EstimateDone done;
  uint64_t place = 0;
  bool of_values = false;
  double ring_seen = 0;
  EstimateReply reply = {};
  uint64_t valued = 0, bytes = 0, conflicts = 0;  // of the keys whose values were seen
};
using SamplingPtr = std::shared_ptr<Sampling>;  // co-owner: the callback of its page

void AskNext(const SamplingPtr& sampling);

void AddValues(Sampling& sampling, const ListReply& page) {
  auto& largest = sampling.reply.largest;
  for (const ListedKey& key : page.keys) {
    uint64_t bytes = 0;
    for (const ShownValue& value : key.shown.values) bytes += value.bytes.size();
    ++sampling.valued;
    sampling.bytes += bytes;
    sampling.conflicts += key.shown.values.size() > 1 ? 1 : 0;
    largest.push_back({key.key, bytes});
  }
  std::sort(largest.begin(), largest.end(),
            [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  if (largest.size() > kLargestMax) largest.resize(kLargestMax);
}

void AddKeys(Sampling& sampling, const ListReply& page) {
  const uint64_t from = sampling.place * kPlaceWidth;
  sampling.reply.sampled += page.keys.size();
  sampling.ring_seen += page.next_token == 0 ? kRing - static_cast<double>(from)
                                             : static_cast<double>(page.next_token - from);
  if (sampling.place == 0 && page.next_token == 0) sampling.reply.exact = true;
}

void End(Sampling& sampling) {
  EstimateReply& reply = sampling.reply;
  reply.keys = reply.sampled;
  if (!reply.exact && sampling.ring_seen > 0) {
    reply.keys = static_cast<uint64_t>(
        std::llround(static_cast<double>(reply.sampled) * (kRing / sampling.ring_seen)));
  }
  const double share = sampling.valued == 0
                           ? 0
                           : static_cast<double>(reply.keys) / static_cast<double>(sampling.valued);
  reply.value_bytes =
      static_cast<uint64_t>(std::llround(static_cast<double>(sampling.bytes) * share));
  reply.conflicts =
      static_cast<uint64_t>(std::llround(static_cast<double>(sampling.conflicts) * share));
  sampling.done(std::move(reply));
}

void OnPage(const SamplingPtr& sampling, const base::Result<ListReply>& page) {
  if (!page) return sampling->done(base::Fail(page.error()));
  sampling->of_values ? AddValues(*sampling, *page) : AddKeys(*sampling, *page);
  const bool last = sampling->reply.exact || ++sampling->place == kPlaces;
  if (!last) return AskNext(sampling);
  if (!sampling->request.values || sampling->of_values) return End(*sampling);
  sampling->of_values = true;
  sampling->place = 0;
  AskNext(sampling);
}

void AskNext(const SamplingPtr& sampling) {
  ListRequest page;
  page.bucket = sampling->request.bucket;
  page.limit = kListLimitMax;
  page.values = sampling->of_values;
  page.from_token = sampling->place * kPlaceWidth;
  page.consistency = sampling->request.consistency;
  page.caller = sampling->request.caller;
  sampling->pages.List(std::move(page), [sampling](const base::Result<ListReply>& listed) {
    OnPage(sampling, listed);
  });
}

}  // namespace

void EstimateBucket(Pages& pages, EstimateRequest request, EstimateDone done) {
  AskNext(std::make_shared<Sampling>(Sampling{pages, std::move(request), std::move(done)}));
}

}  // namespace lariat::coordinator
