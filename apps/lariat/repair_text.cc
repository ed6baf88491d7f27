// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/repair_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "apps/lariat/session.h"
#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

const json::value& Member(const json::value& object, std::string_view name) {
  static const json::value kNone;
  const json::value* found = object.is_object() ? object.as_object().if_contains(name) : nullptr;
  return found != nullptr ? *found : kNone;
}

std::string Bytes(const json::value& object, std::string_view name) {
  return BytesText(static_cast<uint64_t>(NumberOf(object, name)));
}

std::string AgeText(double ms, double now_ms) {
  if (ms <= 0) return "never";
  return SecondsText(std::max(0.0, now_ms - ms) / 1000) + " ago";
}

// From good to bad.
int Badness(const std::string& state) {
  constexpr const char* kStates[] = {"ok", "running", "waits", "dirty", "doubt"};
  const auto found = std::find(std::begin(kStates), std::end(kStates), state);
  return static_cast<int>(found - std::begin(kStates));
}

// Ranges with the same replicas, as all of them see it.
struct Row {
  std::set<std::pair<std::string, std::string>> ranges;
  std::optional<double> last_pass_ms;  // the oldest
  std::string state = "ok";
  std::string why;
};
using Rows = std::map<std::pair<std::string, std::string>, Row>;  // by bucket and replicas

void AddRange(const json::value& range, Rows* rows) {
  std::string replicas;
  for (const json::value& name : ArrayOf(range, "replicas")) {
    if (!name.is_string()) continue;
    replicas += (replicas.empty() ? "" : ", ") + Printable(std::string(name.as_string()));
  }
  Row& row = (*rows)[{Printable(TextOf(range, "bucket")), replicas}];
  row.ranges.emplace(TextOf(range, "from"), TextOf(range, "to"));
  const double pass = NumberOf(range, "last_pass_ms");
  row.last_pass_ms = std::min(row.last_pass_ms.value_or(pass), pass);
  const std::string state = TextOf(range, "state");
  if (Badness(state) <= Badness(row.state)) return;
  row.state = state;
  row.why = Printable(TextOf(range, "why"));
}

struct Tokens {
  uint64_t first = 0, last = 0;  // both included
  auto operator<=>(const Tokens&) const = default;
};

std::optional<Tokens> TokensOf(const json::value& range) {
  const std::string from = TextOf(range, "from"), to = TextOf(range, "to");
  Tokens tokens;
  const auto read = [](const std::string& text, uint64_t* out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (!read(from, &tokens.first) || !read(to, &tokens.last)) return std::nullopt;
  if (tokens.first++ == tokens.last) return Tokens{0, ~uint64_t{0}};
  if (tokens.first > tokens.last) return std::nullopt;  // nodes cut their ranges at zero
  return tokens;
}

// Of the token space; exactly 0 if nothing is missing.
double ShareMissing(std::vector<Tokens> known) {
  std::sort(known.begin(), known.end());
  double missing = 0;
  uint64_t next = 0;  // all before it is known
  for (const Tokens& tokens : known) {
    if (tokens.first > next) missing += static_cast<double>(tokens.first - next);
    if (tokens.last == ~uint64_t{0}) return std::ldexp(missing, -64);
    next = std::max(next, tokens.last + 1);
  }
  return std::ldexp(missing + static_cast<double>(~next) + 1, -64);
}

std::string HintText(const std::string& node, const json::value& hint, double now_ms) {
  std::string text =
      fmt::format("hints: {} keeps {} ({}) for {}: {}", node,
                  CountText(static_cast<uint64_t>(NumberOf(hint, "hints"))), Bytes(hint, "bytes"),
                  Printable(TextOf(hint, "target")), Printable(TextOf(hint, "state")));
  const double oldest = NumberOf(hint, "oldest_ms");
  if (oldest > 0) text += ", the oldest of " + AgeText(oldest, now_ms);
  const double rate = NumberOf(hint, "bytes_per_s");
  if (rate > 0) text += fmt::format(", {}/s", BytesText(static_cast<uint64_t>(rate)));
  return text + "\n";
}

std::string SweepText(const std::string& node, const json::value& sweep, double now_ms) {
  std::string text =
      fmt::format("sweep: {}: last {}, {} tombstones, {} purged, {} folded", node,
                  AgeText(NumberOf(sweep, "last_ms"), now_ms), TextOf(sweep, "tombstones"),
                  TextOf(sweep, "purged"), TextOf(sweep, "folded"));
  const json::value& blocked = Member(sweep, "blocked");
  if (blocked.is_object()) {
    for (const auto& entry : blocked.as_object()) {
      const std::string reason(entry.key());
      text += fmt::format(", {} blocked: {}", TextOf(blocked, reason), reason);
    }
  }
  return text + "\n";
}

std::string ScrubText(const std::string& node, const json::value& scrub, double now_ms) {
  const std::string trouble = Printable(TextOf(scrub, "trouble"));
  return fmt::format("scrub: {}: {} of this pass, the last ended {}, {} damaged, {} refilled{}\n",
                     node, PercentText(NumberOf(scrub, "fraction")),
                     AgeText(NumberOf(scrub, "last_ms"), now_ms), TextOf(scrub, "damaged"),
                     TextOf(scrub, "refilled"), trouble.empty() ? "" : "; " + trouble);
}

std::string SessionText(const std::string& node, const json::value& session) {
  std::string text =
      fmt::format("comparing: {} with {}, bucket {}: {}, {} received, {} sent, {}", node,
                  Printable(TextOf(session, "partner")), Printable(TextOf(session, "bucket")),
                  PercentText(NumberOf(session, "fraction")), TextOf(session, "keys_received"),
                  TextOf(session, "keys_sent"), Bytes(session, "bytes_sent"));
  if (!TextOf(session, "left_s").empty()) {
    text += ", " + SecondsText(NumberOf(session, "left_s")) + " left";
  }
  return text + "\n";
}

}  // namespace

std::string RepairProgressText(const json::array& tasks, const std::string& silent, bool bar) {
  double done = 0, total = 0, bytes = 0, records = 0, rate = 0, left = 0;
  std::string waits;
  for (const json::value& task : tasks) {
    const json::value& p = Member(task, "progress");
    done += NumberOf(p, "ranges_done");
    total += NumberOf(p, "ranges_total");
    bytes += NumberOf(p, "bytes_done");
    records += NumberOf(p, "keys_done");
    rate += NumberOf(p, "bytes_per_s");
    left = std::max(left, NumberOf(p, "left_s"));
    if (TextOf(task, "state") == "running" && waits.empty()) waits = TextOf(p, "waiting_for");
  }
  const double share = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0;
  std::string text = "repair";
  if (bar) text += " " + Progress::Bar(share);
  text += fmt::format(" {:.0f} %, {} sent, {} records", share * 100,
                      BytesText(static_cast<uint64_t>(bytes)),
                      CountText(static_cast<uint64_t>(records)));
  if (rate > 0) text += fmt::format(", {}/s", BytesText(static_cast<uint64_t>(rate)));
  if (!silent.empty()) return text + "; no answer from " + silent;
  if (left > 0) text += ", " + SecondsText(left) + " left";
  return waits.empty() ? text : text + "; waits: " + Printable(waits);
}

std::string RepairEndText(const json::value& summary) {
  const std::string why = Printable(TextOf(summary, "why"));
  return fmt::format("{}: {}, {} records exchanged, {} sent{}", TextOf(summary, "node"),
                     TextOf(summary, "state"),
                     CountText(static_cast<uint64_t>(NumberOf(summary, "records"))),
                     Bytes(summary, "bytes"), why.empty() ? "" : ": " + why);
}

std::map<std::string, double> Unanswered(const std::vector<std::string>& buckets,
                                         const json::array& answers) {
  std::map<std::string, std::vector<Tokens>> known;
  for (const std::string& bucket : buckets) known[bucket];
  for (const json::value& answer : answers) {
    for (const json::value& range : ArrayOf(Member(answer, "repair"), "ranges")) {
      if (const auto tokens = TokensOf(range)) known[TextOf(range, "bucket")].push_back(*tokens);
    }
  }
  std::map<std::string, double> unanswered;
  for (auto& [bucket, tokens] : known) {
    const double missing = ShareMissing(std::move(tokens));
    if (missing > 0) unanswered[bucket] = missing;
  }
  return unanswered;
}

std::string UnansweredText(const std::map<std::string, double>& unanswered) {
  std::string text;
  for (const auto& [bucket, share] : unanswered) {
    text += fmt::format("unknown: {} of bucket {}: no replica of it answers\n", PercentText(share),
                        Printable(bucket));
  }
  return text;
}

bool IsHealthy(const json::array& answers) {
  for (const json::value& answer : answers) {
    const json::value& repair = Member(answer, "repair");
    if (!TextOf(Member(repair, "scrub"), "trouble").empty()) return false;
    for (const json::value& range : ArrayOf(repair, "ranges")) {
      if (Badness(TextOf(range, "state")) > Badness("waits")) return false;
    }
  }
  return true;
}

std::string RepairStatusText(const json::array& answers, double now_ms) {
  Rows rows;
  std::string comparing, hints, sweeps, scrubs;
  for (const json::value& answer : answers) {
    const std::string node = TextOf(answer, "node");
    const json::value& repair = Member(answer, "repair");
    for (const json::value& range : ArrayOf(repair, "ranges")) AddRange(range, &rows);
    const json::value& session = Member(repair, "session");
    if (session.is_object()) comparing += SessionText(node, session);
    for (const json::value& hint : ArrayOf(repair, "hints")) {
      hints += HintText(node, hint, now_ms);
    }
    sweeps += SweepText(node, Member(repair, "sweep"), now_ms);
    scrubs += ScrubText(node, Member(repair, "scrub"), now_ms);
  }
  Table table({"BUCKET", "RANGES", "REPLICAS", "LAST PASS", "STATE"});
  for (const auto& [key, row] : rows) {
    table.Add({key.first, std::to_string(row.ranges.size()), key.second,
               AgeText(row.last_pass_ms.value_or(0), now_ms),
               row.why.empty() ? row.state : row.state + ": " + row.why});
  }
  if (hints.empty()) hints = "hints: none\n";
  return table.Render() + "\n" + comparing + hints + sweeps + scrubs;
}

}  // namespace lariat::cli
