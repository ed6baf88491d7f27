// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/output.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"

namespace lariat::cli {
namespace {

namespace json = boost::json;

struct HotOptions {
  std::string by = "operations";
  unsigned limit = 10;
};

void ShowKeys(const json::value& reply, const std::string& by) {
  Table table({"BUCKET", by == "size" ? "SIZE" : "PER SECOND", "KEY"});
  for (const json::value& key : ArrayOf(reply, "keys")) {
    const double per_s = NumberOf(key, "per_s");
    const std::string figure = by == "size"
                                   ? BytesText(static_cast<uint64_t>(NumberOf(key, "bytes")))
                               : by == "bytes" ? BytesText(static_cast<uint64_t>(per_s))
                                               : fmt::format("{:.1f}", per_s);
    table.Add({TextOf(key, "bucket"), figure, Printable(TextOf(key, "key"))});
  }
  Print("{}", table.Render());
  std::string silent;
  for (const json::value& name : ArrayOf(reply, "silent")) {
    if (name.is_string()) silent += (silent.empty() ? "" : ", ") + std::string(name.as_string());
  }
  if (!silent.empty()) Print("without what clients asked of {}\n", silent);
}

Exit Hot(const Common& common, const HotOptions& options) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target =
      "/v1/hot" + net::QueryString({{"by", options.by}, {"limit", std::to_string(options.limit)}});
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else {
    ShowKeys(*reply, options.by);
  }
  return Exit::kDone;
}

CLI::App* AddOne(CLI::App& app, Session& session, const std::shared_ptr<HotOptions>& options,
                 const std::string& name, const std::string& about, const std::string& examples) {
  CLI::App* command = AddCommand(app, session, name, about, examples);
  command->add_option("--limit", options->limit, "Keys to show (default 10)")
      ->check(CLI::Range(1, 100));
  command->callback([&session, options] {
    session.run = [&session, options] { return Hot(session.common, *options); };
  });
  return command;
}

}  // namespace

void AddHotCommands(CLI::App& app, Session& session) {
  auto hot = std::make_shared<HotOptions>();
  AddOne(app, session, hot, "hot", "The keys that clients ask for most, lately",
         "  lariat hot\n  lariat hot --by bytes --limit 20")
      ->add_option("--by", hot->by, "operations (default), bytes, conflicts or misses")
      ->check(CLI::IsMember({"operations", "bytes", "conflicts", "misses"}));
  auto big = std::make_shared<HotOptions>();
  big->by = "size";
  AddOne(app, session, big, "big", "The largest values that clients have asked for, lately",
         "  lariat big");
}

}  // namespace lariat::cli
