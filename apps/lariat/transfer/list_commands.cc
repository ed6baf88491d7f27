// SPDX-License-Identifier: Apache-2.0
// scan and count.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/terminal/text.h"
#include "apps/lariat/transfer/list_pages.h"
#include "base/base64.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;
using transfer::ListOptions;
using transfer::ListPages;

constexpr std::chrono::milliseconds kPageWait{15000};

struct ScanOptions {
  ListOptions list;
  std::optional<uint64_t> limit;
  bool estimate = false;
};
using ScanOptionsPtr = std::shared_ptr<ScanOptions>;  // shared by the callbacks of one command

std::string ValueText(const json::value& pair) {
  const json::array& values = ArrayOf(pair, "values");
  if (!values.empty()) return fmt::format("({} concurrent values)", values.size());
  return Printable(base::Base64Decode(TextOf(pair, "value")).value_or(""));
}

void ShowItem(const Common& common, bool values, const json::value& item) {
  if (common.json) return PrintLine(json::serialize(item));
  if (values) {
    return PrintLine(fmt::format("{}\t{}", Printable(transfer::KeyOfPair(item)), ValueText(item)));
  }
  PrintLine(Printable(transfer::ListedKey(item)));
}

bool CheckBounds(const ListOptions& list) {
  if (!list.prefix || (!list.start && !list.end)) return true;
  Complain(Exit::kUsage, "give --prefix, or --start and --end");
  return false;
}

Exit Scan(const Common& common, ScanOptions o) {
  if (!CheckBounds(o.list)) return Exit::kUsage;
  auto client = Connect(common, kPageWait);
  if (!client) return Exit::kUsage;
  uint64_t left = o.limit.value_or(UINT64_MAX);
  const auto page_max = static_cast<uint64_t>(o.list.limit);
  o.list.limit = static_cast<int64_t>(std::max<uint64_t>(1, std::min(left, page_max)));
  const bool values = o.list.values;
  ListPages pages(*client, std::move(o.list), "");
  while (left > 0) {
    auto page = pages.Next();
    if (!page) return page.error();
    if (!*page) break;
    for (const json::value& item : **page) {
      if (left-- == 0) return Exit::kDone;
      ShowItem(common, values, item);
    }
    if (!OutputWorks()) return Exit::kFailed;
  }
  return Exit::kDone;
}

Exit ShowCount(const Common& common, const std::string& bucket, uint64_t keys, bool exact) {
  if (common.json) {
    PrintLine(json::serialize(json::object{{"bucket", bucket}, {"keys", keys}, {"exact", exact}}));
  } else {
    PrintLine(std::to_string(keys));
  }
  return Exit::kDone;
}

Exit Estimate(const Common& common, const ListOptions& list) {
  if (list.prefix || list.start || list.end) {
    return Complain(Exit::kUsage, "--estimate is of whole buckets");
  }
  auto client = Connect(common, kPageWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = fmt::format("/v1/buckets/{}/stats", net::PercentEncode(list.bucket));
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  return ShowCount(common, list.bucket, static_cast<uint64_t>(NumberOf(*reply, "keys")),
                   FlagOf(*reply, "exact"));
}

Exit Count(const Common& common, ScanOptions o) {
  if (!CheckBounds(o.list)) return Exit::kUsage;
  if (o.estimate) return Estimate(common, o.list);
  auto client = Connect(common, kPageWait);
  if (!client) return Exit::kUsage;
  const std::string bucket = o.list.bucket;
  ListPages pages(*client, std::move(o.list), "");
  Progress progress("counted", 0);
  uint64_t keys = 0;
  while (true) {
    auto page = pages.Next();
    if (!page) return page.error();
    if (!*page) break;
    keys += (*page)->size();
    progress.Update(keys, keys);
  }
  progress.Finish();
  return ShowCount(common, bucket, keys, true);
}

void AddListOptions(CLI::App* command, const ScanOptionsPtr& o) {
  command->add_option("-b,--bucket", o->list.bucket, "Bucket (default: default)");
  command->add_option("--prefix", o->list.prefix,
                      "Only keys that begin so, in their order; with a {hash tag} in it");
  command->add_option("--start", o->list.start, "Only keys from this one on, in their order");
  command->add_option("--end", o->list.end, "Only keys before this one");
  command->add_option("--r", o->list.r, "Replicas that must have answered");
  command->add_option("--consistency", o->list.consistency, "ONE, QUORUM, ALL, ...");
}

}  // namespace

void AddListCommands(CLI::App& app, Session& session) {
  auto scan = std::make_shared<ScanOptions>();
  CLI::App* command = AddCommand(app, session, "scan", "List the keys of a bucket",
                                 "  lariat scan --bucket users --limit 20\n"
                                 "  lariat scan --prefix '{user:1}:' --values");
  AddListOptions(command, scan);
  command->add_flag("--values", scan->list.values, "Show the values too");
  command->add_option("--limit", scan->limit, "At most so many keys");
  command->callback(
      [&session, scan] { session.run = [&session, scan] { return Scan(session.common, *scan); }; });

  auto count = std::make_shared<ScanOptions>();
  command = AddCommand(app, session, "count", "Count the keys of a bucket",
                       "  lariat count --bucket users\n"
                       "  lariat count --bucket users --estimate");
  AddListOptions(command, count);
  command->add_flag("--estimate", count->estimate,
                    "From samples, at once: within a few percent (docs/lists.md)");
  command->callback([&session, count] {
    session.run = [&session, count] { return Count(session.common, *count); };
  });
}

}  // namespace lariat::cli
