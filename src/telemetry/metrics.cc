// SPDX-License-Identifier: Apache-2.0
#include "telemetry/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "telemetry/internal/text_format.h"

namespace lariat::telemetry {
namespace {

// Bounds of the histograms that are shown; each is a bucket bound, so no record is on the wrong
// side.
struct ShownBound {
  base::Duration duration;
  std::string_view le;
};
constexpr base::Duration Micros(int64_t n) { return std::chrono::microseconds(n); }
constexpr std::array<ShownBound, 19> kShownBounds = {{{Micros(10), "0.00001"},
                                                      {Micros(25), "0.000025"},
                                                      {Micros(50), "0.00005"},
                                                      {Micros(100), "0.0001"},
                                                      {Micros(250), "0.00025"},
                                                      {Micros(500), "0.0005"},
                                                      {Micros(1'000), "0.001"},
                                                      {Micros(2'500), "0.0025"},
                                                      {Micros(5'000), "0.005"},
                                                      {Micros(10'000), "0.01"},
                                                      {Micros(25'000), "0.025"},
                                                      {Micros(50'000), "0.05"},
                                                      {Micros(100'000), "0.1"},
                                                      {Micros(250'000), "0.25"},
                                                      {Micros(500'000), "0.5"},
                                                      {Micros(1'000'000), "1"},
                                                      {Micros(2'500'000), "2.5"},
                                                      {Micros(5'000'000), "5"},
                                                      {Micros(10'000'000), "10"}}};

template <typename Label>
constexpr size_t kSize = static_cast<size_t>(Label::kCount);

// Calls visit(row) for each row of the table, in its order, with the row's own method.
template <typename Visitor>
void VisitTable(Visitor& visit) {
#define LARIAT_COUNTER(id, name, help) visit.OneCounter(name, help, &Metrics::id);
#define LARIAT_COUNTER_BY(id, name, L, label, help) \
  visit.CountersBy(name, help, label, &Metrics::id);
#define LARIAT_COUNTER_BY2(id, name, A, a, B, b, help) \
  visit.CountersBy2(name, help, a, b, &Metrics::id);
#define LARIAT_GAUGE(id, name, help) visit.GaugeSum(name, help, &Metrics::id);
#define LARIAT_GAUGE_MAX(id, name, help) visit.GaugeMax(name, help, &Metrics::id);
#define LARIAT_GAUGE_BY(id, name, L, label, help) visit.GaugesBy(name, help, label, &Metrics::id);
#define LARIAT_HISTOGRAM_BY(id, name, L, label, help) \
  visit.HistogramsBy(name, help, label, &Metrics::id);
#include "telemetry/metrics.def"
#undef LARIAT_COUNTER
#undef LARIAT_COUNTER_BY
#undef LARIAT_COUNTER_BY2
#undef LARIAT_GAUGE
#undef LARIAT_GAUGE_MAX
#undef LARIAT_GAUGE_BY
#undef LARIAT_HISTOGRAM_BY
}

struct FigureRow {
  const char* name;
  const char* kind;
  const char* label;  // "": none
  const char* help;
};
// In the order of Figure.
constexpr FigureRow kFigures[] = {
#define LARIAT_FIGURE(id, name, kind, label, help) {name, kind, label, help},
#include "telemetry/figures.def"
#undef LARIAT_FIGURE
};

class Renderer {
 public:
  Renderer(std::span<const Metrics* const> shards, internal::TextFormat* out)
      : shards_(shards), out_(*out) {}

  void OneCounter(std::string_view name, std::string_view help, Counter Metrics::*member) {
    out_.Family(name, "counter", help);
    out_.Line(name, {}, Sum([member](const Metrics& shard) { return (shard.*member).value(); }));
  }

  template <typename L>
  void CountersBy(std::string_view name, std::string_view help, std::string_view label,
                  CounterBy<L> Metrics::*member) {
    out_.Family(name, "counter", help);
    for (size_t i = 0; i < kSize<L>; ++i) {
      const L l = static_cast<L>(i);
      out_.Line(name, {{label, LabelText(l)}},
                Sum([&](const Metrics& shard) { return (shard.*member)[l].value(); }));
    }
  }

  template <typename A, typename B>
  void CountersBy2(std::string_view name, std::string_view help, std::string_view label_a,
                   std::string_view label_b, CounterBy2<A, B> Metrics::*member) {
    out_.Family(name, "counter", help);
    for (size_t i = 0; i < kSize<A> * kSize<B>; ++i) {
      const A a = static_cast<A>(i / kSize<B>);
      const B b = static_cast<B>(i % kSize<B>);
      const uint64_t sum =
          Sum([&](const Metrics& shard) { return (shard.*member).At(a, b).value(); });
      if (sum == 0) continue;
      out_.Line(name, {{label_a, LabelText(a)}, {label_b, LabelText(b)}}, sum);
    }
  }

  void GaugeSum(std::string_view name, std::string_view help, Gauge Metrics::*member) {
    int64_t sum = 0;
    for (const Metrics* shard : shards_) sum += (shard->*member).value();
    out_.Family(name, "gauge", help);
    out_.Line(name, {}, sum);
  }

  void GaugeMax(std::string_view name, std::string_view help, Gauge Metrics::*member) {
    int64_t max = shards_.empty() ? 0 : (shards_.front()->*member).value();
    for (const Metrics* shard : shards_) max = std::max(max, (shard->*member).value());
    out_.Family(name, "gauge", help);
    out_.Line(name, {}, max);
  }

  template <typename L>
  void GaugesBy(std::string_view name, std::string_view help, std::string_view label,
                GaugeBy<L> Metrics::*member) {
    out_.Family(name, "gauge", help);
    for (size_t i = 0; i < kSize<L>; ++i) {
      const L l = static_cast<L>(i);
      int64_t sum = 0;
      for (const Metrics* shard : shards_) sum += (shard->*member)[l].value();
      out_.Line(name, {{label, LabelText(l)}}, sum);
    }
  }

  template <typename L>
  void HistogramsBy(std::string_view name, std::string_view help, std::string_view label,
                    HistogramBy<L> Metrics::*member) {
    out_.Family(name, "histogram", help);
    for (size_t i = 0; i < kSize<L>; ++i) {
      const L l = static_cast<L>(i);
      // A copy of its own, so that the lines agree with each other while the shards go on counting.
      Histogram merged;
      for (const Metrics* shard : shards_) merged.Merge((shard->*member)[l]);
      HistogramLines(std::string(name), {label, LabelText(l)}, merged);
    }
  }

 private:
  template <typename Read>
  uint64_t Sum(Read read) const {
    uint64_t sum = 0;
    for (const Metrics* shard : shards_) sum += read(*shard);
    return sum;
  }

  void HistogramLines(const std::string& name, internal::Label label, const Histogram& histogram) {
    for (const ShownBound& bound : kShownBounds) {
      out_.Line(name + "_bucket", {label, {"le", bound.le}}, histogram.CountUpTo(bound.duration));
    }
    out_.Line(name + "_bucket", {label, {"le", "+Inf"}}, histogram.Count());
    out_.Line(name + "_sum", {label}, base::ToSeconds(histogram.Sum()));
    out_.Line(name + "_count", {label}, histogram.Count());
  }

  std::span<const Metrics* const> shards_;
  internal::TextFormat& out_;
};

class Describer {
 public:
  void OneCounter(const char* name, const char* help, Counter Metrics::*) {
    table.push_back({name, "counter", help, {}});
  }
  template <typename L>
  void CountersBy(const char* name, const char* help, const char* label, CounterBy<L> Metrics::*) {
    table.push_back({name, "counter", help, {Values<L>(label)}});
  }
  template <typename A, typename B>
  void CountersBy2(const char* name, const char* help, const char* a, const char* b,
                   CounterBy2<A, B> Metrics::*) {
    table.push_back({name, "counter", help, {Values<A>(a), Values<B>(b)}});
  }
  void GaugeSum(const char* name, const char* help, Gauge Metrics::*) {
    table.push_back({name, "gauge", help, {}});
  }
  void GaugeMax(const char* name, const char* help, Gauge Metrics::*) {
    table.push_back({name, "gauge", help, {}});
  }
  template <typename L>
  void GaugesBy(const char* name, const char* help, const char* label, GaugeBy<L> Metrics::*) {
    table.push_back({name, "gauge", help, {Values<L>(label)}});
  }
  template <typename L>
  void HistogramsBy(const char* name, const char* help, const char* label,
                    HistogramBy<L> Metrics::*) {
    table.push_back({name, "histogram", help, {Values<L>(label)}});
  }

  std::vector<MetricInfo> table;

 private:
  template <typename L>
  static MetricInfo::Label Values(const char* name) {
    MetricInfo::Label label{name, {}};
    for (size_t i = 0; i < kSize<L>; ++i) label.values.push_back(LabelText(static_cast<L>(i)));
    return label;
  }
};

// The format wants all samples of one name together, under one head.
void RenderSamples(std::span<const Sample> samples, internal::TextFormat* out) {
  std::map<std::string_view, std::vector<const Sample*>> families;
  for (const Sample& sample : samples) families[sample.name].push_back(&sample);
  for (const auto& [name, family] : families) {
    out->Family(name, family.front()->kind, family.front()->help);
    for (const Sample* sample : family) {
      out->Line(name, {sample->labels.begin(), sample->labels.end()}, sample->value);
    }
  }
}

}  // namespace

std::string RenderPrometheus(std::span<const Metrics* const> shards,
                             std::span<const Sample> extra) {
  internal::TextFormat out;
  Renderer renderer(shards, &out);
  VisitTable(renderer);
  RenderSamples(extra, &out);
  return std::move(out).Take();
}

Sample SampleOf(Figure figure, double value, std::string label) {
  const FigureRow& row = kFigures[static_cast<size_t>(figure)];
  Sample sample{row.name, row.kind, row.help, value};
  if (*row.label != 0) sample.labels.emplace_back(row.label, std::move(label));
  return sample;
}

std::vector<MetricInfo> MetricTable() {
  Describer describer;
  VisitTable(describer);
  for (const FigureRow& row : kFigures) {
    MetricInfo info{row.name, row.kind, row.help, {}};
    if (*row.label != 0) info.labels.push_back({row.label, {}});
    describer.table.push_back(std::move(info));
  }
  return std::move(describer.table);
}

std::string MetricsMarkdown() {
  std::string text =
      "# Metrics\n\n"
      "This page is generated from `src/telemetry/metrics.def` and `figures.def`; a test fails "
      "when it is\n"
      "out of date. `GET /metrics` has all of them and no others, in the Prometheus text format, "
      "added up\n"
      "over the shards of the node (or the greatest of them, where the name ends in `_max`). Times "
      "are in\n"
      "seconds, sizes in bytes.\n"
      "\n| name | kind | labels | meaning |\n| --- | --- | --- | --- |\n";
  for (const MetricInfo& info : MetricTable()) {
    std::string labels;
    for (const MetricInfo::Label& label : info.labels) {
      labels += fmt::format("{}`{}`{}{}", labels.empty() ? "" : "; ", label.name,
                            label.values.empty() ? "" : ": ", fmt::join(label.values, ", "));
    }
    fmt::format_to(std::back_inserter(text), "| `{}` | {} | {} | {} |\n", info.name, info.kind,
                   labels, info.help);
  }
  return text;
}

}  // namespace lariat::telemetry
