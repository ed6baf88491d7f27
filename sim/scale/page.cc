// SPDX-License-Identifier: Apache-2.0
#include "sim/scale/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lariat::sim::scale {
namespace {

std::string RoundsText(int rounds) { return rounds == 0 ? "-" : std::to_string(rounds); }

std::string SecondsText(double seconds) {
  return seconds < 0 ? "-" : fmt::format("{:.1f}", seconds);
}

// 1234567 as 1,234,567.
std::string Grouped(double number) {
  const std::string digits = fmt::format("{:.0f}", number);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

const char* ModeText(const Row& row) { return row.setup.hierarchical ? "hierarchical" : "flat"; }

std::string NameText(const Row& row) {
  return fmt::format("{} | {}", Grouped(row.setup.nodes), ModeText(row));
}

std::string SpreadTable(const std::vector<Row>& rows) {
  std::string text =
      "| nodes | mode | 99 % know, rounds | all know, rounds | bytes/s of a node "
      "| bytes/s of the busiest |\n| ---: | --- | ---: | ---: | ---: | ---: |\n";
  for (const Row& row : rows) {
    text +=
        fmt::format("| {} | {} | {} | {} | {} |\n", NameText(row), RoundsText(row.rounds_most),
                    RoundsText(row.rounds_all), Grouped(row.bytes_mean), Grouped(row.bytes_max));
  }
  return text;
}

std::string DetectionTable(const std::vector<Row>& rows) {
  std::string text =
      "| nodes | mode | observers | pair hours | suspicions | convictions | probes/s "
      "| first, s | half, s | its rack, s | all, s |\n"
      "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const Row& row : rows) {
    text += fmt::format("| {} | {} | {} | {} | {} | {:.1f} | {} | {} | {} | {} |\n", NameText(row),
                        Grouped(row.observers), Grouped(row.watched_pair_hours),
                        Grouped(static_cast<double>(row.suspicions)), row.convictions,
                        row.probes_per_s, SecondsText(row.first_s), SecondsText(row.median_s),
                        SecondsText(row.rack_s), SecondsText(row.all_s));
  }
  return text;
}

constexpr std::string_view kIntroduction = R"(# Gossip and failure detection at scale

Made by `./dev scale`, which writes this page and [scale.svg](scale.svg): do not edit. Seed {}.
The code that runs is that of a node (`membership::GossipCore`, `membership::DetectorCore`) in
virtual time; what is simulated is in [sim/scale](../sim/scale/README.md).

Every node has a gossip period of 1 s (each tick up to 50 ms early or late). A frame takes 1 to
50 ms, one in a hundred up to 500 ms, and **5 % of all frames are lost**. A probe goes over a
connection: what is lost (5 % again) is sent again after 200, 400 ms, and the probe fails after
1 s. A dead node does not even refuse connections, so each of its probes costs that second. All
other settings have their defaults.

![rounds, bytes and detection over the size of the cluster](scale.svg)

## How fast a change spreads, and what gossip costs

One node changes its own states (a new topology epoch); a round is a second. In a real change
of the topology every node that adopted it tells it too, so this is the slowest case. Bytes are
those that a node sends while nothing happens: SYN, ACK and ACK2 frames and probes, without the
headers of TCP.

)";

constexpr std::string_view kDetection = R"(
## Failure detection

The first columns are a time of rest: how long pairs of living nodes were watched, how often
one was suspected all the same (that costs a probe), and how often one was convicted, which is
an error. Then a node dies: seconds until the first observer convicts it, half of them, all of
its rack, all; a dash: not within 60 s.

)";

constexpr std::string_view kNotes = R"(
## How to read it

- Flat gossip sends what it knows about every node to some random peers: bytes grow with the
  cluster until the frame limit (32 KiB) ends that at about 1,000 nodes; from there nodes take
  turns, so heartbeats come seldom and detection by them becomes slow.
- Hierarchical gossip does that inside a rack. Two relays of each rack and two of each
  datacenter exchange with others; they are the busiest nodes. Far heartbeats come by turns and
  seldom. A death is convicted in its rack and told as a change of the states of those who
  found it, and each node that hears it probes for itself. If a whole rack dies at once, nobody
  in it can tell: that is found as late as a far heartbeat is missed, or at once by those whose
  requests fail.
- Nodes are in racks of 5, 10, 25 and 50 and in 1, 2, 4 and 8 datacenters.

## What is simplified for 10,000 nodes

- Gossip runs on all 10,000, each with an entry for every other (10^8 entries of 40 bytes, 4 GB).
  States of the nodes are empty but for the one that changes.
- Failure detection, which keeps a window of intervals for each peer, runs on a sample: all
  nodes of the dead node's rack and 64 others (the column `observers`). The others never hold a
  peer for dead, and relays outside the sample go on asking it.
)";

// --- the plot ---

// A panel: x is the number of nodes, logarithmic from 10 to 10,000; y linear or logarithmic.
struct Panel {
  const char* title;
  double x0;
  double y_min, y_max;
  bool logarithmic;
  std::vector<double> ticks;
};

constexpr double kWidth = 240, kHeight = 220, kTop = 50;

double PlaceX(const Panel& panel, double nodes) {
  return panel.x0 + 15 + (kWidth - 30) * (std::log10(nodes) - 1) / 3;
}

double PlaceY(const Panel& panel, double value) {
  const auto scale = [&](double v) { return panel.logarithmic ? std::log10(v) : v; };
  const double bounded = std::clamp(value, panel.y_min, panel.y_max);
  const double part =
      (scale(bounded) - scale(panel.y_min)) / (scale(panel.y_max) - scale(panel.y_min));
  return kTop + kHeight * (1 - part);
}

std::string TickText(double value) {
  if (value >= 1e6) return fmt::format("{:.0f} M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.0f} k", value / 1e3);
  return fmt::format("{:.0f}", value);
}

std::string Axes(const Panel& panel) {
  std::string svg = fmt::format(
      "<text x=\"{:.0f}\" y=\"34\" font-weight=\"bold\">{}</text>\n"
      "<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" fill=\"none\" "
      "stroke=\"#888\"/>\n",
      panel.x0, panel.title, panel.x0, kTop, kWidth, kHeight);
  for (const double tick : panel.ticks) {
    const double y = PlaceY(panel, tick);
    svg += fmt::format(
        "<line x1=\"{0:.0f}\" y1=\"{1:.1f}\" x2=\"{2:.0f}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/>\n"
        "<text x=\"{3:.0f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        panel.x0, y, panel.x0 + kWidth, panel.x0 - 5, y + 4, TickText(tick));
  }
  for (const double nodes : {10., 100., 1000., 10000.}) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>\n",
                       PlaceX(panel, nodes), kTop + kHeight + 16, TickText(nodes));
  }
  return svg;
}

// One mode's points of a panel, joined; rows without a value are left out.
template <typename Value>
std::string Curve(const Panel& panel, const std::vector<Row>& rows, bool hierarchical,
                  Value value) {
  const char* color = hierarchical ? "#c0392b" : "#2471a3";
  std::string path, dots;
  for (const Row& row : rows) {
    const double v = value(row);
    if (row.setup.hierarchical != hierarchical || v <= 0) continue;
    const double x = PlaceX(panel, row.setup.nodes), y = PlaceY(panel, v);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", x, y);
    dots +=
        fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\"/>\n", x, y, color);
  }
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n{}", path,
                     color, dots);
}

template <typename Value>
std::string Drawn(const Panel& panel, const std::vector<Row>& rows, Value value) {
  return Axes(panel) + Curve(panel, rows, false, value) + Curve(panel, rows, true, value);
}

}  // namespace

std::string Tables(const std::vector<Row>& rows) {
  return SpreadTable(rows) + "\n" + DetectionTable(rows);
}

std::string Page(const std::vector<Row>& rows, uint64_t seed) {
  return fmt::format(kIntroduction, seed) + SpreadTable(rows) + std::string(kDetection) +
         DetectionTable(rows) + std::string(kNotes);
}

std::string Plot(const std::vector<Row>& rows) {
  const Panel rounds{"rounds until all know a change", 40, 0, 30, false, {0, 10, 20, 30}};
  const Panel bytes{"bytes/s sent by a node", 350, 100, 1e6, true, {100, 1e3, 1e4, 1e5, 1e6}};
  const Panel death{"seconds until half convicted the dead", 650, 0, 60, false, {0, 20, 40, 60}};
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 910 330\" "
      "font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"910\" height=\"330\" fill=\"white\"/>\n";
  svg += Drawn(rounds, rows, [](const Row& row) { return double(row.rounds_all); });
  svg += Drawn(bytes, rows, [](const Row& row) { return row.bytes_mean; });
  svg += Drawn(death, rows, [](const Row& row) { return row.median_s; });
  svg +=
      "<text x=\"40\" y=\"315\">x: nodes in the cluster</text>\n"
      "<circle cx=\"350\" cy=\"311\" r=\"4\" fill=\"#2471a3\"/><text x=\"360\" "
      "y=\"315\">flat</text>\n"
      "<circle cx=\"420\" cy=\"311\" r=\"4\" fill=\"#c0392b\"/><text x=\"430\" "
      "y=\"315\">hierarchical</text>\n</svg>\n";
  return svg;
}

}  // namespace lariat::sim::scale
