// SPDX-License-Identifier: Apache-2.0
#include "telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/doc_page_test_util.h"
#include "telemetry/log.h"

namespace lariat::telemetry {
namespace {

using testing::HasSubstr;

bool IsMetricName(std::string_view name) {
  return !name.empty() && (name[0] < '0' || name[0] > '9') &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") ==
             std::string_view::npos;
}

// A strict reader of the text format 0.0.4: stricter than a scraper, it also insists on order.
class Checker {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  struct Family {
    std::string kind;
    std::string help;
    std::map<std::string, std::map<Labels, double>> samples;  // by sample name
  };

  explicit Checker(const std::string& text) {
    EXPECT_TRUE(text.empty() || text.back() == '\n') << "the last line must end";
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      SCOPED_TRACE(line);
      line.starts_with("# HELP ")   ? Help(line)
      : line.starts_with("# TYPE ") ? Kind(line)
                                    : Read(line);
    }
    for (const auto& [name, family] : families_) {
      SCOPED_TRACE(name);
      if (family.kind == "histogram") CheckHistogram(name, family);
    }
  }

  const std::map<std::string, Family>& families() const { return families_; }

  std::optional<double> Value(const std::string& family, const Labels& labels = {}) const {
    return ValueOf(family, family, labels);
  }
  std::optional<double> ValueOf(const std::string& family, const std::string& sample,
                                const Labels& labels) const {
    const auto& samples = families_.at(family).samples;
    const auto found = samples.find(sample);
    if (found == samples.end() || !found->second.contains(labels)) return std::nullopt;
    return found->second.at(labels);
  }

 private:
  // HELP comes first, TYPE right after it, both once, and then the samples of that family only.
  void Help(const std::string& line) {
    const size_t space = line.find(' ', 7);
    ASSERT_NE(space, std::string::npos);
    current_ = line.substr(7, space - 7);
    EXPECT_TRUE(IsMetricName(current_));
    const auto [family, fresh] = families_.try_emplace(current_);
    EXPECT_TRUE(fresh) << "a family must not come twice";
    family->second.help = line.substr(space + 1);
  }

  void Kind(const std::string& line) {
    const std::string start = "# TYPE " + current_ + " ";
    ASSERT_TRUE(line.starts_with(start));
    const std::string kind = line.substr(start.size());
    EXPECT_TRUE(kind == "counter" || kind == "gauge" || kind == "histogram");
    EXPECT_TRUE(families_[current_].kind.empty());
    families_[current_].kind = kind;
  }

  void Read(const std::string& line) {
    const size_t name_end = line.find_first_of("{ ");
    ASSERT_NE(name_end, std::string::npos);
    const std::string name = line.substr(0, name_end);
    Family& family = families_[current_];
    ASSERT_FALSE(family.kind.empty());
    const bool histogram = family.kind == "histogram";
    EXPECT_TRUE(histogram ? name == current_ + "_bucket" || name == current_ + "_sum" ||
                                name == current_ + "_count"
                          : name == current_);
    size_t at = name_end;
    const Labels labels = line[at] == '{' ? ReadLabels(line, &at) : Labels();
    ASSERT_EQ(line[at], ' ');
    EXPECT_TRUE(family.samples[name].emplace(labels, ReadValue(line.substr(at + 1))).second)
        << "a series must not come twice";
  }

  // From the '{' at *at; leaves *at behind the '}'.
  static Labels ReadLabels(const std::string& line, size_t* at) {
    Labels labels;
    while (line[*at] != '}') {
      const size_t equals = line.find("=\"", ++*at);
      if (equals == std::string::npos) break;
      const std::string name = line.substr(*at, equals - *at);
      EXPECT_TRUE(IsMetricName(name) && name.find(':') == std::string::npos) << name;
      labels.emplace_back(name, ReadQuoted(line, *at = equals + 2, at));
      if (line[*at] != ',') break;
    }
    EXPECT_EQ(line[*at], '}');
    ++*at;
    return labels;
  }

  static std::string ReadQuoted(const std::string& line, size_t from, size_t* end) {
    std::string value;
    for (size_t i = from; i < line.size(); ++i) {
      if (line[i] == '"') {
        *end = i + 1;
        return value;
      }
      if (line[i] == '\\') {
        ++i;
        EXPECT_NE(std::string("\\\"n").find(line[i]), std::string::npos) << "unknown escape";
        value += line[i] == 'n' ? '\n' : line[i];
      } else {
        value += line[i];
      }
    }
    ADD_FAILURE() << "no end of the label's value";
    *end = line.size() - 1;
    return value;
  }

  static double ReadValue(const std::string& text) {
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    if (text == "-Inf") return -std::numeric_limits<double>::infinity();
    if (text == "NaN") return std::nan("");
    EXPECT_EQ(text.find_first_not_of("0123456789+-.e"), std::string::npos) << text;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    EXPECT_TRUE(!text.empty() && *end == '\0') << text;
    return value;
  }

  static void CheckHistogram(const std::string& name, const Family& family) {
    std::map<Labels, std::map<double, double>> series;  // without le; by le
    for (const auto& [all_labels, value] : family.samples.at(name + "_bucket")) {
      Labels labels = all_labels;
      ASSERT_EQ(labels.back().first, "le");
      const double le = ReadValue(labels.back().second);
      labels.pop_back();
      series[labels][le] = value;
    }
    for (const auto& [labels, buckets] : series) {
      double before = 0;
      for (const auto& [le, count] : buckets) {
        EXPECT_GE(count, before) << le;
        before = count;
      }
      EXPECT_TRUE(std::isinf(buckets.rbegin()->first)) << "needs le=\"+Inf\"";
      EXPECT_EQ(family.samples.at(name + "_count").at(labels), before);
      EXPECT_TRUE(family.samples.at(name + "_sum").contains(labels));
    }
  }

  std::string current_;
  std::map<std::string, Family> families_;
};

// The checker is only worth something if it finds what is wrong.
TEST(Checker, RefusesBadTexts) {
  const std::string head = "# HELP a A.\n# TYPE a gauge\n";
  const std::string histogram = "# HELP h H.\n# TYPE h histogram\n";
  for (const std::string& bad :
       {head + "a 1", std::string("a 1\n"), head + "b 1\n", head + head, head + "a 1\na 2\n",
        head + "a one\n", head + "a{x=\"1\" 1\n", head + "a{x=\"\\t\"} 1\n",
        head + "a{0x=\"1\"} 1\n", std::string("# TYPE a gauge\na 1\n"),
        std::string("# HELP a A.\n# TYPE a number\n"),
        histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        histogram + "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        histogram + "h_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 1\n"}) {
    testing::TestPartResultArray found;
    {
      testing::ScopedFakeTestPartResultReporter reporter(&found);
      const Checker checker(bad);
    }
    EXPECT_GT(found.size(), 0) << bad;
  }
}

std::string Render(std::vector<const Metrics*> shards, std::vector<Sample> extra = {}) {
  return RenderPrometheus(shards, extra);
}

TEST(MetricTable, IsWellFormed) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : MetricTable()) {
    SCOPED_TRACE(info.name);
    EXPECT_TRUE(names.insert(info.name).second) << "must be unique";
    EXPECT_TRUE(info.name.starts_with("lariat_"));
    EXPECT_TRUE(IsMetricName(info.name));
    EXPECT_EQ(info.name.find(':'), std::string_view::npos);
    EXPECT_TRUE(info.help.ends_with('.'));
    EXPECT_EQ(info.name.ends_with("_total"), info.kind == "counter");
    EXPECT_TRUE(info.kind != "histogram" || info.name.ends_with("_seconds"));
    for (const MetricInfo::Label& label : info.labels) {
      EXPECT_NE(label.name, "le");
      std::set<std::string_view> values(label.values.begin(), label.values.end());
      EXPECT_EQ(values.size(), label.values.size()) << label.name;
      EXPECT_FALSE(values.contains("")) << label.name;
    }
  }
}

TEST(MetricTable, HasTheNamesThatAreFixed) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : MetricTable()) names.insert(info.name);
  for (const char* name : {"lariat_requests_total", "lariat_request_seconds", "lariat_siblings_max",
                           "lariat_read_repairs_total", "lariat_incarnations_total"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(RenderPrometheus, IsStrictlyValidAndHasTheWholeTable) {
  const auto shard = std::make_unique<Metrics>();
  const std::vector<Sample> figures = {
#define LARIAT_FIGURE(id, name, kind, label, help) SampleOf(Figure::id, 1, "x"),
#include "telemetry/figures.def"
#undef LARIAT_FIGURE
  };
  const Checker checker(Render({shard.get()}, figures));
  for (const MetricInfo& info : MetricTable()) {
    ASSERT_TRUE(checker.families().contains(std::string(info.name))) << info.name;
    const Checker::Family& family = checker.families().at(std::string(info.name));
    EXPECT_EQ(family.kind, info.kind);
    EXPECT_EQ(family.help, info.help);
    EXPECT_EQ(family.samples.empty(), info.labels.size() == 2) << info.name;
  }
}

TEST(RenderPrometheus, WithoutShardsIsValidToo) { const Checker checker(Render({})); }

TEST(RenderPrometheus, AddsShardsUpOrTakesTheGreatest) {
  const auto one = std::make_unique<Metrics>();
  const auto two = std::make_unique<Metrics>();
  one->read_repairs.Add(2);
  two->read_repairs.Add(40);
  one->requests_in_flight.Set(5);
  two->requests_in_flight.Add(-2);
  one->siblings_max.RaiseTo(7);
  two->siblings_max.RaiseTo(3);
  two->siblings_max.RaiseTo(1);
  one->replica_requests[ReplicaOp::kWrite].Add();
  two->replica_requests[ReplicaOp::kWrite].Add();
  two->requests.At(Op::kPut, Outcome::kOk).Add(9);
  const Checker checker(Render({one.get(), two.get()}));
  EXPECT_EQ(checker.Value("lariat_read_repairs_total"), 42);
  EXPECT_EQ(checker.Value("lariat_requests_in_flight"), 3);
  EXPECT_EQ(checker.Value("lariat_siblings_max"), 7);
  EXPECT_EQ(checker.Value("lariat_replica_requests_total", {{"op", "write"}}), 2);
  EXPECT_EQ(checker.Value("lariat_replica_requests_total", {{"op", "read"}}), 0);
  EXPECT_EQ(checker.Value("lariat_requests_total", {{"op", "put"}, {"outcome", "ok"}}), 9);
  EXPECT_EQ(checker.Value("lariat_requests_total", {{"op", "get"}, {"outcome", "ok"}}),
            std::nullopt);
}

TEST(RenderPrometheus, HistogramBoundsAreExact) {
  const std::string name = "lariat_request_seconds";
  const auto one = std::make_unique<Metrics>();
  const auto two = std::make_unique<Metrics>();
  one->request_seconds[Op::kGet].Record(base::Millis(1));
  two->request_seconds[Op::kGet].Record(base::Millis(1) + base::Duration(1));
  two->request_seconds[Op::kGet].Record(base::Seconds(60));
  const Checker checker(Render({one.get(), two.get()}));
  const auto bucket = [&](const std::string& le) {
    return checker.ValueOf(name, name + "_bucket", {{"op", "get"}, {"le", le}});
  };
  EXPECT_EQ(bucket("0.0005"), 0);
  EXPECT_EQ(bucket("0.001"), 1);
  EXPECT_EQ(bucket("0.0025"), 2);
  EXPECT_EQ(bucket("10"), 2);
  EXPECT_EQ(bucket("+Inf"), 3);
  EXPECT_EQ(checker.ValueOf(name, name + "_count", {{"op", "get"}}), 3);
  EXPECT_NEAR(checker.ValueOf(name, name + "_sum", {{"op", "get"}}).value(), 60.002, 1e-6);
  for (const auto& [labels, count] : checker.families().at(name).samples.at(name + "_bucket")) {
    if (labels.back().second == "+Inf") continue;
    const base::Duration le(std::llround(std::stod(labels.back().second) * 1e9));
    EXPECT_EQ(Histogram::UpperBound(Histogram::BucketOf(le)), le) << "not a bucket bound";
  }
}

TEST(RenderPrometheus, ExtraSamplesAreGroupedAndEscaped) {
  const std::string odd = "a\\b\"c\nd";
  const std::string text =
      Render({}, {{"lariat_phi", "gauge", "Sus\\pic\nion.", 1.5, {{"peer", odd}}},
                  {"lariat_things", "gauge", "Things.", 3},
                  {"lariat_phi", "gauge", "Sus\\pic\nion.", 2, {{"peer", "n2"}}}});
  EXPECT_THAT(text, HasSubstr("# HELP lariat_phi Sus\\\\pic\\nion.\n"));
  EXPECT_THAT(text, HasSubstr("lariat_phi{peer=\"a\\\\b\\\"c\\nd\"} 1.5\n"));
  const Checker checker(text);
  EXPECT_EQ(checker.Value("lariat_phi", {{"peer", odd}}), 1.5);
  EXPECT_EQ(checker.Value("lariat_phi", {{"peer", "n2"}}), 2);
  EXPECT_EQ(checker.Value("lariat_things"), 3);
}

TEST(RenderPrometheus, WritesNumbersAsTheFormatWants) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::string text = Render({}, {{"lariat_a", "gauge", "A.", std::nan("")},
                                       {"lariat_b", "gauge", "B.", kInfinity},
                                       {"lariat_c", "gauge", "C.", -kInfinity},
                                       {"lariat_d", "gauge", "D.", 0.1},
                                       {"lariat_e", "gauge", "E.", 1099511627776.0}});
  EXPECT_THAT(text, HasSubstr("\nlariat_a NaN\n"));
  EXPECT_THAT(text, HasSubstr("\nlariat_b +Inf\n"));
  EXPECT_THAT(text, HasSubstr("\nlariat_c -Inf\n"));
  EXPECT_THAT(text, HasSubstr("\nlariat_d 0.1\n"));
  EXPECT_EQ(Checker(text).Value("lariat_e"), 1099511627776.0);
}

TEST(Docs, MetricsPageIsCurrent) {
  base::ExpectCurrent(std::filesystem::path(LARIAT_DOCS_DIR) / "metrics.md", MetricsMarkdown());
}

class CollectingSink final : public LogSink {
 public:
  bool Enabled(LogLevel level) const override { return level >= LogLevel::kInfo; }
  void Write(LogLevel level, std::string_view module, std::string text) override {
    lines.push_back(std::string(LevelText(level)) + " " + std::string(module) + " " + text);
  }
  std::vector<std::string> lines;
};

TEST(Log, FormatsOnlyWhatIsEnabled) {
  CollectingSink sink;
  sink.Log(LogLevel::kDebug, "ring", "{} tokens", 16);
  sink.Log(LogLevel::kWarn, "ring", "{} tokens", 16);
  EXPECT_EQ(sink.lines, std::vector<std::string>{"warn ring 16 tokens"});
  EXPECT_FALSE(NullLog().Enabled(LogLevel::kError));
  NullLog().Log(LogLevel::kError, "ring", "dropped");
}

TEST(Log, LevelsHaveTexts) {
  for (const char* text : {"trace", "debug", "info", "warn", "error"}) {
    EXPECT_EQ(LevelText(LevelFromText(text).value()), text);
  }
  EXPECT_EQ(LevelFromText("loud"), std::nullopt);
}

}  // namespace
}  // namespace lariat::telemetry
