// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "apps/lariat/terminal/output.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli::load {

namespace {

namespace json = boost::json;

double Micros(base::Duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

std::string LatencyText(base::Duration d) {
  double us = Micros(d);
  return us < 1000 ? fmt::format("{:.0f} us", us) : fmt::format("{:.2f} ms", us / 1000);
}

json::object LatencyJson(const telemetry::Histogram& h, double seconds) {
  double mean = h.Count() == 0 ? 0 : Micros(h.Sum()) / static_cast<double>(h.Count());
  return {{"operations", h.Count()},
          {"per_second", static_cast<double>(h.Count()) / seconds},
          {"mean_us", mean},
          {"p50_us", Micros(h.Quantile(0.5))},
          {"p99_us", Micros(h.Quantile(0.99))},
          {"p999_us", Micros(h.Quantile(0.999))},
          {"max_us", Micros(h.Max())}};
}

std::string FailureName(int status) { return status == 0 ? "connection" : std::to_string(status); }

double PerOp(double seconds, const Totals& totals) {
  uint64_t count = std::max<uint64_t>(totals.all.Count(), 1);
  return seconds * 1e6 / static_cast<double>(count);
}

}  // namespace

void ShowJson(const Plan& plan, const Totals& totals) {
  const BenchOptions& o = plan.options;
  json::object failures;
  for (const auto& [status, count] : totals.failures) failures[FailureName(status)] = count;
  json::array servers;
  double sum = 0;
  for (const auto& [pid, cpu] : totals.servers) {
    sum += cpu.Total();
    servers.push_back({{"pid", pid},
                       {"user_us_per_op", PerOp(cpu.user_s, totals)},
                       {"system_us_per_op", PerOp(cpu.system_s, totals)}});
  }
  json::object out = {{"workload", o.workload},
                      {"bucket", o.bucket},
                      {"conflict", plan.conflict},
                      {"connections", o.connections},
                      {"pipeline", o.pipeline},
                      {"keys", o.keys},
                      {"value_bytes", o.value_bytes},
                      {"seconds", totals.seconds},
                      {"all", LatencyJson(totals.all, totals.seconds)},
                      {"get", LatencyJson(totals.get, totals.seconds)},
                      {"put", LatencyJson(totals.put, totals.seconds)},
                      {"failed", totals.failed},
                      {"failures", failures},
                      {"failure", Printable(totals.failure)},
                      {"client_cpu_us_per_op", PerOp(totals.self.Total(), totals)}};
  if (plan.ledger != nullptr) {
    out["lost"] = totals.lost;
    out["wrong"] = totals.wrong;
    out["example"] = totals.example;
  }
  if (!servers.empty()) {
    out["server_cpu_us_per_op"] = PerOp(sum, totals);
    out["servers"] = servers;
  }
  PrintLine(json::serialize(out));
}

void ShowText(const Plan& plan, const Totals& totals) {
  const BenchOptions& o = plan.options;
  Print("{} on bucket {} ({}): {} keys, values of {}, {} connections x {} in flight, {}\n",
        o.workload, o.bucket, plan.conflict, CountText(o.keys), BytesText(o.value_bytes),
        o.connections, o.pipeline, SecondsText(o.duration_s));
  Table table({"", "OPERATIONS", "PER SECOND", "P50", "P99", "P999", "MAX"});
  auto row = [&](const char* name, const telemetry::Histogram& h) {
    if (h.Count() == 0) return;
    auto rate = static_cast<uint64_t>(static_cast<double>(h.Count()) / totals.seconds);
    table.Add({name, CountText(h.Count()), CountText(rate), LatencyText(h.Quantile(0.5)),
               LatencyText(h.Quantile(0.99)), LatencyText(h.Quantile(0.999)),
               LatencyText(h.Max())});
  };
  if (totals.get.Count() > 0 && totals.put.Count() > 0) {
    row("get", totals.get);
    row("put", totals.put);
  }
  row("all", totals.all);
  Print("{}failed: {}\n", table.Render(), CountText(totals.failed));
  for (const auto& [status, count] : totals.failures) {
    Print("  {} x {}\n", CountText(count), FailureName(status));
  }
  double sum = 0;
  for (const auto& [pid, cpu] : totals.servers) {
    sum += cpu.Total();
    Print("cpu of pid {}: {:.1f} us per operation ({:.1f} user, {:.1f} system)\n", pid,
          PerOp(cpu.Total(), totals), PerOp(cpu.user_s, totals), PerOp(cpu.system_s, totals));
  }
  if (!totals.servers.empty()) {
    Print("cpu of all servers: {:.1f} us per operation\n", PerOp(sum, totals));
  }
  Print("cpu of this client: {:.1f} us per operation\n", PerOp(totals.self.Total(), totals));
}

}  // namespace lariat::cli::load
