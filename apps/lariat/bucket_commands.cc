// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "apps/lariat/change_watch.h"
#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/table.h"
#include "apps/lariat/terminal/text.h"
#include "base/base64.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

struct BucketOptions {
  std::string name;
  std::vector<std::string> properties;  // name=value
};
using BucketOptionsPtr =
    std::shared_ptr<BucketOptions>;  // shared by the parser's callbacks of one command

// "n=3 sloppy=true conflict=lww" as JSON: what reads as a number, a boolean or JSON stands there as
// it was typed, the rest is text.
tl::expected<std::string, Exit> ParseProperties(const std::vector<std::string>& texts) {
  std::string out;
  std::set<std::string> names;
  for (const std::string& text : texts) {
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return tl::unexpected(
          Complain(Exit::kUsage, fmt::format("'{}' is not of the form NAME=VALUE", text)));
    }
    const std::string name = text.substr(0, equals);
    if (!names.insert(name).second) {
      return tl::unexpected(Complain(Exit::kUsage, fmt::format("'{}' is given twice", name)));
    }
    const std::string value = text.substr(equals + 1);
    json::error_code problem;
    json::parse(value, problem);
    out += (out.empty() ? "" : ",") + json::serialize(json::string(name)) + ":" +
           (problem ? json::serialize(json::string(value)) : value);
  }
  return "{" + out + "}";
}

net::Request BucketRequest(const std::string& name, const char* method) {
  net::Request request;
  request.method = method;
  request.target = "/v1/buckets/" + net::PercentEncode(name);
  return request;
}

Exit Show(const Common& common, const json::value& bucket) {
  if (common.json) {
    PrintLine(json::serialize(bucket));
    return Exit::kDone;
  }
  if (!bucket.is_object()) return Complain(Exit::kFailed, "the answer is not a JSON object");
  Table table({"PROPERTY", "VALUE"});
  for (const auto& [name, value] : bucket.as_object()) {
    table.Add({std::string(name), TextOf(bucket, name)});
  }
  Print("{}", table.Render());
  return Exit::kDone;
}

Exit ShowOne(const Common& common, const BucketOptions& o) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  auto reply = Ask(*client, BucketRequest(o.name, "GET"));
  return reply ? Show(common, *reply) : reply.error();
}

Exit ShowStats(const Common& common, const BucketOptions& o) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request = BucketRequest(o.name, "GET");
  request.target += "/stats";
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
    return Exit::kDone;
  }
  const char* about = FlagOf(*reply, "exact") ? "" : "about ";
  const auto count = [&](const char* name) {
    return static_cast<uint64_t>(NumberOf(*reply, name));
  };
  Table table({"", ""});
  table.Add({"keys", about + CountText(count("keys"))});
  table.Add({"bytes of values", about + BytesText(count("value_bytes"))});
  table.Add({"keys with siblings", about + CountText(count("conflicts"))});
  Print("{}", table.Render());
  const json::array& largest = ArrayOf(*reply, "largest");
  if (largest.empty()) return Exit::kDone;
  Print("\nLargest of {} keys looked at:\n", CountText(count("sampled")));
  Table keys({"KEY", "BYTES"});
  for (const json::value& large : largest) {
    const json::value* key = large.as_object().if_contains("key");
    const bool text = key != nullptr && key->is_string();
    const std::string bytes =
        text ? TextOf(large, "key")
             : base::Base64Decode(key == nullptr ? "" : TextOf(*key, "base64")).value_or("");
    keys.Add({Printable(bytes), TextOf(large, "bytes")});
  }
  Print("{}", keys.Render());
  return Exit::kDone;
}

Exit List(const Common& common) {
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Request request;
  request.target = "/v1/buckets";
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintLine(json::serialize(*reply));
    return Exit::kDone;
  }
  const json::value* buckets = &*reply;
  if (reply->is_object()) buckets = reply->as_object().if_contains("buckets");
  if (buckets == nullptr || !buckets->is_array()) {
    return Complain(Exit::kFailed, "the answer holds no list of buckets");
  }
  Table table({"NAME", "N", "R", "W", "CONFLICT", "DURABILITY", "TTL", "SLOPPY"});
  for (const json::value& b : buckets->as_array()) {
    table.Add({TextOf(b, "name"), TextOf(b, "n"), TextOf(b, "r"), TextOf(b, "w"),
               TextOf(b, "conflict"), TextOf(b, "durability"), TextOf(b, "ttl"),
               TextOf(b, "sloppy")});
  }
  Print("{}", table.Render());
  return Exit::kDone;
}

// A change of n of a bucket in use moves data first: the task that does so, if there is one.
std::optional<json::object> MovingTask(net::Client& client, const std::string& bucket) {
  net::Request request;
  request.target = "/v1/admin/tasks";
  net::Outcome reply = client.Send(request);
  if (!reply || !reply->Ok()) return std::nullopt;
  json::error_code problem;
  const json::value tasks = json::parse(reply->body, problem);
  if (problem) return std::nullopt;
  for (const json::value& task : ArrayOf(tasks, "tasks")) {
    const std::string state = TextOf(task, "state");
    const bool ended = state == "done" || state == "cancelled";
    const bool of_bucket = TextOf(task, "kind") == "replication" && TextOf(task, "node") == bucket;
    if (of_bucket && !ended) return task.as_object();
  }
  return std::nullopt;
}

// What is in force after a change that was answered with `asked`.
Exit ShowInForce(const Common& common, net::Client& client, const BucketOptions& o,
                 const json::value& asked) {
  auto now = Ask(client, BucketRequest(o.name, "GET"));
  if (!now) return now.error();
  if (TextOf(*now, "n") == TextOf(asked, "n")) return Show(common, *now);
  const auto task = MovingTask(client, o.name);
  if (common.json) {
    json::object with_task = now->is_object() ? now->as_object() : json::object();
    if (task) with_task["moving"] = {{"task", task->at("task")}, {"n", asked.at("n")}};
    return Show(common, with_task);
  }
  const Exit shown = Show(common, *now);
  Print("\nn becomes {} when the data has moved{}\n", TextOf(asked, "n"),
        task ? fmt::format(": task {0}\nWatch:    lariat tasks {0} --wait\n"
                           "Go back:  lariat cluster cancel {0}",
                           TextOf(*task, "task"))
             : "");
  return shown;
}

enum class Want : uint8_t { kNew, kExisting };

// PUT of the properties given; the server keeps the others.
Exit Change(const Common& common, const BucketOptions& o, Want want) {
  auto properties = ParseProperties(o.properties);
  if (!properties) return properties.error();
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  net::Outcome present = client->Send(BucketRequest(o.name, "GET"));
  if (!present) return Explain(present.error());
  if (!present->Ok() && present->status != 404) return Explain(*present);
  if (want == Want::kNew && present->Ok()) {
    return Complain(Exit::kNotFound, fmt::format("bucket '{0}' exists; change it with 'lariat "
                                                 "bucket set {0} NAME=VALUE'",
                                                 o.name));
  }
  if (want == Want::kExisting && !present->Ok()) return Explain(*present);
  net::Request request = BucketRequest(o.name, "PUT");
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = std::move(*properties);
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  for (const char* note : {"warning", "note"}) {
    std::string text = TextOf(*reply, note);
    if (!text.empty() && !common.json) Tell("lariat: {}\n", text);
  }
  if (want == Want::kExisting && reply->is_object()) {
    return ShowInForce(common, *client, o, *reply);
  }
  return reply->is_object() ? Show(common, *reply) : ShowOne(common, o);
}

struct DeleteOptions {
  std::string name;
  bool yes = false;
  bool wait = false;
};

Exit Delete(const Common& common, const DeleteOptions& o) {
  if (!o.yes) {
    return Complain(Exit::kUsage,
                    fmt::format("this deletes bucket '{}' and every key in it, and there is no way "
                                "back; with --yes it is done",
                                o.name));
  }
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  auto ticket = Ask(*client, BucketRequest(o.name, "DELETE"));
  if (!ticket) return ticket.error();
  const auto task = static_cast<uint64_t>(NumberOf(*ticket, "task"));
  if (o.wait) return AwaitTask(*client, task, common);
  if (common.json) {
    PrintAnswer(*client);
  } else {
    Print("bucket {} is deleted; its data follows\nWatch:    lariat tasks {} --wait\n", o.name,
          task);
  }
  return Exit::kDone;
}

void AddDelete(CLI::App& bucket, Session& session) {
  auto o = std::make_shared<DeleteOptions>();
  CLI::App* command = AddCommand(
      bucket, session, "delete", "Delete a bucket with every key in it",
      "  lariat bucket delete carts --yes\n"
      "What it does: the bucket is gone for clients at once, on every node; a node that is away\n"
      "  hears of it before it serves again. Each node then removes what it stored, slowly. A new\n"
      "  bucket of the name may be made at once, and never sees the old data.\n"
      "What can go wrong: refused (exit code 1) for the bucket 'default', while its n changes, "
      "and\n"
      "  before 'lariat cluster finalize-upgrade' if nodes ran an older build.\n"
      "How to go back: not at all; 'lariat export' first.");
  command->add_option("NAME", o->name)->required();
  command->add_flag("--yes", o->yes, "Really: there is no way back");
  command->add_flag("--wait", o->wait, "Until every node has removed what it stored");
  command->callback(
      [&session, o] { session.run = [&session, o] { return Delete(session.common, *o); }; });
}

}  // namespace

void AddBucketCommands(CLI::App& app, Session& session) {
  CLI::App* bucket = app.add_subcommand("bucket", "Create, list, show, change and delete buckets");
  bucket->require_subcommand(1);
  const char* properties =
      "n, r, w, pr, pw, sloppy, allow_eventual, read_repair, conflict, durability, ttl, gc_grace, "
      "... as NAME=VALUE (docs/buckets.md)";

  auto create = std::make_shared<BucketOptions>();
  CLI::App* command = AddCommand(*bucket, session, "create", "Create a bucket",
                                 "  lariat bucket create carts\n"
                                 "  lariat bucket create cache conflict=lww ttl=3600");
  command->add_option("NAME", create->name)->required();
  command->add_option("PROPERTY", create->properties, properties);
  command->callback([&session, create] {
    session.run = [&session, create] { return Change(session.common, *create, Want::kNew); };
  });

  command = AddCommand(*bucket, session, "list", "All buckets", "  lariat bucket list");
  command->callback([&session] { session.run = [&session] { return List(session.common); }; });

  auto show = std::make_shared<BucketOptions>();
  command = AddCommand(*bucket, session, "show", "All properties of a bucket",
                       "  lariat bucket show default");
  command->add_option("NAME", show->name)->required();
  command->callback([&session, show] {
    session.run = [&session, show] { return ShowOne(session.common, *show); };
  });

  AddDelete(*bucket, session);
  auto stats = std::make_shared<BucketOptions>();
  command = AddCommand(*bucket, session, "stats", "How much a bucket holds, from samples",
                       "  lariat bucket stats default");
  command->add_option("NAME", stats->name)->required();
  command->callback([&session, stats] {
    session.run = [&session, stats] { return ShowStats(session.common, *stats); };
  });

  auto set = std::make_shared<BucketOptions>();
  command = AddCommand(*bucket, session, "set", "Change properties of a bucket",
                       "  lariat bucket set carts w=3 ttl=86400");
  command->add_option("NAME", set->name)->required();
  command->add_option("PROPERTY", set->properties, properties)->required();
  command->callback([&session, set] {
    session.run = [&session, set] { return Change(session.common, *set, Want::kExisting); };
  });
}

}  // namespace lariat::cli
