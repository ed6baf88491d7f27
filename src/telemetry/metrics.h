// SPDX-License-Identifier: Apache-2.0
// One shard's metrics: plain counters that only the shard's thread writes and any thread may read
// (relaxed atomics, no read-modify-write), so that counting costs an add. RenderPrometheus adds the
// shards up. The table is metrics.def, and figures.def.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/histogram.h"
#include "telemetry/labels.h"

namespace lariat::telemetry {

class Counter {
 public:
  // Only the owner's thread adds.
  void Add(uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(int64_t v) { value_.store(v, std::memory_order_relaxed); }
  void Add(int64_t n) { Set(value() + n); }
  void RaiseTo(int64_t v) {
    if (v > value()) Set(v);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

template <typename Label>
class CounterBy {
 public:
  Counter& operator[](Label label) { return counters_[static_cast<size_t>(label)]; }
  const Counter& operator[](Label label) const { return counters_[static_cast<size_t>(label)]; }

 private:
  std::array<Counter, static_cast<size_t>(Label::kCount)> counters_;
};

template <typename Label>
class GaugeBy {
 public:
  Gauge& operator[](Label label) { return gauges_[static_cast<size_t>(label)]; }
  const Gauge& operator[](Label label) const { return gauges_[static_cast<size_t>(label)]; }

 private:
  std::array<Gauge, static_cast<size_t>(Label::kCount)> gauges_;
};

template <typename A, typename B>
class CounterBy2 {
 public:
  Counter& At(A a, B b) { return counters_[static_cast<size_t>(a)][b]; }
  const Counter& At(A a, B b) const { return counters_[static_cast<size_t>(a)][b]; }

 private:
  std::array<CounterBy<B>, static_cast<size_t>(A::kCount)> counters_;
};

template <typename Label>
class HistogramBy {
 public:
  Histogram& operator[](Label label) { return histograms_[static_cast<size_t>(label)]; }
  const Histogram& operator[](Label label) const { return histograms_[static_cast<size_t>(label)]; }

 private:
  std::array<Histogram, static_cast<size_t>(Label::kCount)> histograms_;
};

struct Metrics {
#define LARIAT_COUNTER(id, name, help) Counter id;
#define LARIAT_COUNTER_BY(id, name, L, label, help) CounterBy<L> id;
#define LARIAT_COUNTER_BY2(id, name, A, a, B, b, help) CounterBy2<A, B> id;
#define LARIAT_GAUGE(id, name, help) Gauge id;
#define LARIAT_GAUGE_MAX(id, name, help) Gauge id;
#define LARIAT_GAUGE_BY(id, name, L, label, help) GaugeBy<L> id;
#define LARIAT_HISTOGRAM_BY(id, name, L, label, help) HistogramBy<L> id;
#include "telemetry/metrics.def"
#undef LARIAT_COUNTER
#undef LARIAT_COUNTER_BY
#undef LARIAT_COUNTER_BY2
#undef LARIAT_GAUGE
#undef LARIAT_GAUGE_MAX
#undef LARIAT_GAUGE_BY
#undef LARIAT_HISTOGRAM_BY
};

// Figures that are read when somebody asks (the engine's, the process's): name, help, value.
// Samples of one name (one for each peer, say) must agree in kind and help and differ in their
// labels.
struct Sample {
  std::string name;
  const char* kind;  // "counter" or "gauge"
  std::string help;
  double value;
  std::vector<std::pair<std::string, std::string>> labels = {};
};

// The rows of figures.def.
enum class Figure : uint8_t {
#define LARIAT_FIGURE(id, name, kind, label, help) id,
#include "telemetry/figures.def"
#undef LARIAT_FIGURE
};
// `label`: the value of the row's label, if it has one.
Sample SampleOf(Figure figure, double value, std::string label = {});

// Prometheus text format 0.0.4, shards added up. Thread-safe against the shards. Counters with one
// label show every value of it; with two, only those combinations that were counted.
std::string RenderPrometheus(std::span<const Metrics* const> shards, std::span<const Sample> extra);

// One row of the table, for documents and tests.
struct MetricInfo {
  std::string_view name;
  std::string_view kind;  // "counter", "gauge" or "histogram"
  std::string_view help;
  struct Label {
    std::string_view name;
    std::vector<std::string_view> values;
  };
  std::vector<Label> labels;
};
std::vector<MetricInfo> MetricTable();

// docs/metrics.md.
std::string MetricsMarkdown();

}  // namespace lariat::telemetry
