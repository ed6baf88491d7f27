// SPDX-License-Identifier: Apache-2.0
// put, update, get and del. Values travel as raw bytes one way and as base64 the other (the
// envelope shows siblings and context together).
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

#include "apps/lariat/commands.h"
#include "apps/lariat/local/layout.h"
#include "apps/lariat/terminal/text.h"
#include "base/base64.h"
#include "base/uuid.h"

namespace lariat::cli {

namespace {

namespace json = boost::json;

struct KvOptions {
  std::string key;
  std::string bucket = "default";
  std::optional<std::string> value, file, context, content_type, if_match, idempotency_key;
  std::optional<int64_t> ttl, timeout_ms, client_timestamp_ms;
  std::optional<int64_t> r, w, pr, pw;
  std::string consistency;
  bool key_base64 = false;
  bool if_none_match = false;
  bool sloppy = false;
  bool replace = false;
  bool id_is_given = false;
};
using KvOptionsPtr = std::shared_ptr<KvOptions>;  // shared by the parser's callbacks of one command

void AddKeyOptions(CLI::App* command, const KvOptionsPtr& o) {
  command->add_option("KEY", o->key, "1 to 256 bytes")->required();
  command->add_flag("--key-base64", o->key_base64, std::string(kKeyBase64Help));
  command->add_option("-b,--bucket", o->bucket, "Bucket (default: default)");
  command->add_option("--consistency", o->consistency,
                      "ONE, TWO, THREE, QUORUM, LOCAL_ONE, LOCAL_QUORUM, EACH_QUORUM, ALL; ANY for "
                      "writes; SERIAL in serial buckets");
  command->add_option("--timeout-ms", o->timeout_ms, "Time the node may take");
  command->add_flag("--sloppy", o->sloppy, "Let other nodes stand in for replicas that are down");
}

void AddWriteOptions(CLI::App* command, const KvOptionsPtr& o) {
  command->add_option("--context", o->context,
                      "What a get of this key showed: the write replaces exactly that");
  command->add_option("--if-match", o->if_match, "Only if this context is still the newest");
  command->add_option("--idempotency-key", o->idempotency_key,
                      "A repeat with the same key within 24 h has no further effect");
  command->add_option("--w", o->w, "Replicas that must have stored it");
  command->add_option("--pw", o->pw, "Of these, how many primary replicas");
}

// The key's bytes in the place of what was typed.
bool TakeKey(KvOptions* o) {
  auto bytes = KeyBytes(o->key, o->key_base64);
  if (bytes) o->key = std::move(*bytes);
  return bytes.has_value();
}

// A write has an id, so that it may be sent again.
void TakeId(KvOptions* o) {
  o->id_is_given = o->idempotency_key.has_value();
  if (o->id_is_given) return;
  std::random_device random;
  const auto bits = [&random] { return (uint64_t{random()} << 32) | random(); };
  const uint64_t high = bits();
  o->idempotency_key = base::Uuid::FromRandom(high, bits()).ToString();
}

// An empty context would make a write blind without a word: mostly it is an empty shell variable.
bool CheckContexts(const KvOptions& o) {
  const bool empty = (o.context && o.context->empty()) || (o.if_match && o.if_match->empty());
  if (!empty) return true;
  Complain(Exit::kUsage,
           "the context is empty; 'lariat get KEY --json' shows it, and a write that has seen "
           "nothing has no --context");
  return false;
}

std::string KvQuery(const KvOptions& o) {
  std::vector<std::pair<std::string, std::string>> q;
  auto add = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) q.emplace_back(name, std::to_string(*value));
  };
  add("r", o.r);
  add("w", o.w);
  add("pr", o.pr);
  add("pw", o.pw);
  add("timeout_ms", o.timeout_ms);
  if (o.sloppy) q.emplace_back("sloppy", "true");
  return net::QueryString(q);
}

net::Request Start(const KvOptions& o, const char* method, std::string_view dialect) {
  net::Request request;
  request.method = method;
  request.target = fmt::format("{}/buckets/{}/kv/{}{}", dialect, net::PercentEncode(o.bucket),
                               net::PercentEncode(o.key), KvQuery(o));
  if (!o.consistency.empty()) request.headers.emplace_back("Consistency", o.consistency);
  return request;
}

std::chrono::milliseconds Wait(const KvOptions& o) {
  return o.timeout_ms ? std::chrono::milliseconds(*o.timeout_ms + 1000) : kUsualWait;
}

// The value to put: the argument, a file, or standard input. Nothing after a message.
std::optional<std::string> ReadValue(const KvOptions& o) {
  if (o.value.has_value() == o.file.has_value()) {
    Complain(Exit::kUsage, "give one of VALUE, - (standard input) and --file");
    return std::nullopt;
  }
  if (o.value && *o.value != "-") return o.value;
  std::ifstream file;
  if (o.file) file.open(*o.file, std::ios::binary);
  std::istream& in = o.file ? file : std::cin;
  if (!in) {
    Complain(Exit::kUsage, fmt::format("cannot read {}: {}", *o.file, std::strerror(errno)));
    return std::nullopt;
  }
  std::string value(kValueBytesMax + 1, '\0');
  in.read(value.data(), static_cast<std::streamsize>(value.size()));
  value.resize(static_cast<size_t>(in.gcount()));
  if (in.bad()) {
    Complain(Exit::kFailed, "reading the value failed");
    return std::nullopt;
  }
  return value;
}

void AddWriteHeaders(const KvOptions& o, net::Request* request) {
  auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (value) request->headers.emplace_back(name, *value);
  };
  add("X-Context", o.context);
  add("Content-Type", o.content_type);
  add("Idempotency-Key", o.idempotency_key);
  if (o.if_match) {
    bool any = *o.if_match == "*";
    request->headers.emplace_back("If-Match", any ? "*" : '"' + *o.if_match + '"');
  }
  if (o.if_none_match) request->headers.emplace_back("If-None-Match", "*");
  if (o.ttl) request->headers.emplace_back("X-TTL", std::to_string(*o.ttl));
  if (o.client_timestamp_ms) {
    request->headers.emplace_back("X-Client-Timestamp", std::to_string(*o.client_timestamp_ms));
  }
}

// The context of what is there now, which may be a delete; nothing after a message.
std::optional<std::string> ContextNow(net::Client& client, const KvOptions& o, Exit* exit) {
  auto outcome = client.Send(Start(o, "GET", "/v1"));
  const bool absent = outcome && outcome->status == 404;
  if (absent) return std::string(outcome->Header("x-context"));
  const auto reply = Answer(client, outcome);
  if (reply) return TextOf(*reply, "context");
  *exit = reply.error();
  return std::nullopt;
}

// Nobody knows whether the write happened. With its id it can be made again, and counts once.
void TellRepeat(const Session& session, const KvOptions& o) {
  std::vector<std::string> words = {"lariat"};
  words.insert(words.end(), session.words.begin(), session.words.end());
  if (!o.id_is_given) {
    const auto command = std::find_if(words.begin(), words.end(), [](const std::string& word) {
      return word == "put" || word == "update" || word == "del";
    });
    words.insert(command + 1, {"--idempotency-key", *o.idempotency_key});
  }
  Tell("To repeat it, with no further effect if it did happen:  {}\n",
       Printable(local::ShellText(words)));
}

// Sends a write, under an id of its own, so that other nodes may be asked too.
tl::expected<json::value, Exit> SendWrite(const Session& session, net::Client& client,
                                          const KvOptions& o, net::Request request) {
  net::Outcome outcome = client.Send(request);
  if (!o.id_is_given && outcome && outcome->status == 503) {
    // Nothing was done. Where only fallbacks are left they take writes without an id.
    std::erase_if(request.headers, [](const auto& h) { return h.first == "Idempotency-Key"; });
    outcome = client.Send(request);
  }
  auto reply = Answer(client, outcome);
  const bool unknown = outcome ? ParseErrorBody(outcome->body).code == "outcome_unknown"
                               : outcome.error().failure != net::Failure::kNotSent;
  if (unknown && !reply) TellRepeat(session, o);
  return reply;
}

// Whoever writes without having read may not know that this makes siblings.
void TellSiblings(net::Client& client, const KvOptions& o) {
  const auto outcome = client.Send(Start(o, "GET", "/v1"));
  if (!outcome || !outcome->Ok()) return;
  json::error_code problem;
  const json::value reply = json::parse(outcome->body, problem);
  if (problem || !FlagOf(reply, "conflict")) return;
  const size_t others = ArrayOf(reply, "siblings").size() - 1;
  Tell("lariat: stored beside {} other value{}; --replace puts a value in the place of all\n",
       others, others == 1 ? "" : "s");
}

Exit Put(const Session& session, KvOptions o) {
  const Common& common = session.common;
  if (!TakeKey(&o) || !CheckContexts(o)) return Exit::kUsage;
  TakeId(&o);
  auto value = ReadValue(o);
  if (!value) return Exit::kUsage;
  if (value->size() > kValueBytesMax) {
    return Complain(Exit::kUsage, fmt::format("a value has at most {} bytes", kValueBytesMax));
  }
  auto client = Connect(common, Wait(o));
  if (!client) return Exit::kUsage;
  if (o.replace) {
    Exit exit = Exit::kFailed;
    o.context = ContextNow(*client, o, &exit);
    if (!o.context) return exit;
    if (o.context->empty()) o.context.reset();
  }
  net::Request request = Start(o, "PUT", "");
  AddWriteHeaders(o, &request);
  request.body = std::move(*value);
  auto reply = SendWrite(session, *client, o, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
    return Exit::kDone;
  }
  if (IsTerminal(STDOUT_FILENO)) PrintLine(fmt::format("stored {}", Printable(o.key)));
  const bool blind = !o.context && !o.if_match && !o.if_none_match;
  if (blind && IsTerminal(STDERR_FILENO)) TellSiblings(*client, o);
  return Exit::kDone;
}

Exit Delete(const Session& session, KvOptions o) {
  const Common& common = session.common;
  if (!TakeKey(&o) || !CheckContexts(o)) return Exit::kUsage;
  TakeId(&o);
  auto client = Connect(common, Wait(o));
  if (!client) return Exit::kUsage;
  net::Request request = Start(o, "DELETE", "");
  AddWriteHeaders(o, &request);
  request.headers.emplace_back("Accept", "application/json");
  auto reply = SendWrite(session, *client, o, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintLine(reply->is_object() ? client->body() : R"({"deleted":true})");
  } else if (IsTerminal(STDOUT_FILENO)) {
    PrintLine(fmt::format("deleted {}", Printable(o.key)));
  }
  return Exit::kDone;
}

std::string ShowBytes(const std::string& bytes) {
  constexpr size_t kShown = 200;
  std::string text = Printable(std::string_view(bytes).substr(0, kShown));
  return bytes.size() > kShown ? text + fmt::format("... ({} bytes)", bytes.size()) : text;
}

// A text as it is, anything else as JSON.
std::string ShowTyped(const json::value& value) {
  const json::string* text = value.if_string();
  return text == nullptr ? json::serialize(value) : std::string(text->data(), text->size());
}

Exit ShowSiblings(const KvOptions& o, const json::value& reply) {
  const json::array& siblings = reply.at("siblings").as_array();
  Tell("lariat: {} concurrent values of {}:\n", siblings.size(), Printable(o.key));
  for (size_t i = 0; i < siblings.size(); ++i) {
    std::string bytes = base::Base64Decode(TextOf(siblings[i], "value")).value_or("");
    Tell("  {}  {}  {}\n", i + 1, ShowBytes(bytes), TextOf(siblings[i], "version"));
  }
  std::vector<std::string> command = {"lariat", "put", o.key, "VALUE"};
  if (o.key_base64) {
    command[2] = base::Base64Encode(o.key);
    command.emplace_back("--key-base64");
  }
  if (o.bucket != "default") command.insert(command.end(), {"--bucket", o.bucket});
  command.insert(command.end(), {"--context", TextOf(reply, "context")});
  Tell("Decide with:  {}\n", Printable(local::ShellText(command)));
  return Exit::kSiblings;
}

// What may stand on a terminal as it is.
bool IsText(std::string_view bytes) {
  const auto is_control = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
  };
  return IsUtf8(bytes) && std::none_of(bytes.begin(), bytes.end(), is_control);
}

// An operation on a value that merges.
Exit Update(const Session& session, KvOptions o) {
  const Common& common = session.common;
  if (!TakeKey(&o) || !CheckContexts(o)) return Exit::kUsage;
  TakeId(&o);
  auto operation = ReadValue(o);
  if (!operation) return Exit::kUsage;
  auto client = Connect(common, Wait(o));
  if (!client) return Exit::kUsage;
  net::Request request = Start(o, "POST", "/v1");
  o.content_type = "application/json";
  AddWriteHeaders(o, &request);
  request.body = std::move(*operation);
  auto reply = SendWrite(session, *client, o, request);
  if (!reply) return reply.error();
  if (common.json) {
    PrintAnswer(*client);
  } else if (reply->is_object() && reply->as_object().contains("value")) {
    PrintLine(ShowTyped(reply->at("value")));
  }
  return Exit::kDone;
}

// The pages of a large set or map after the first one, put together with it.
tl::expected<void, Exit> GetRest(net::Client& client, const KvOptions& o, json::value* reply) {
  while (reply->as_object().contains("next_cursor")) {
    net::Request request = Start(o, "GET", "/v1");
    request.target += request.target.find('?') == std::string::npos ? '?' : '&';
    request.target += "cursor=" + TextOf(*reply, "next_cursor");
    auto page = Ask(client, request);
    if (!page) return tl::unexpected(page.error());
    if (!page->is_object() || !page->as_object().contains("value")) break;
    json::value& value = page->at("value");
    json::value& all = reply->at("value");
    if (all.is_array() && value.is_array()) {
      for (json::value& element : value.as_array()) all.as_array().push_back(std::move(element));
    } else if (all.is_object() && value.is_object()) {
      for (auto& field : value.as_object()) all.as_object().insert(std::move(field));
    }
    const std::string next = TextOf(*page, "next_cursor");
    reply->as_object().erase("next_cursor");
    if (!next.empty()) reply->as_object()["next_cursor"] = next;
  }
  return {};
}

Exit GetTyped(const Common& common, net::Client& client, const KvOptions& o, json::value reply) {
  if (auto rest = GetRest(client, o, &reply); !rest) return rest.error();
  PrintLine(common.json ? json::serialize(reply) : ShowTyped(reply.at("value")));
  return Exit::kDone;
}

Exit Get(const Common& common, KvOptions o) {
  if (!TakeKey(&o)) return Exit::kUsage;
  auto client = Connect(common, Wait(o));
  if (!client) return Exit::kUsage;
  net::Request request = Start(o, "GET", "/v1");
  auto reply = Ask(*client, request);
  if (!reply) return reply.error();
  if (!reply->is_object()) return Complain(Exit::kFailed, "the answer is not a JSON object");
  if (reply->as_object().contains("type") && reply->as_object().contains("value")) {
    return GetTyped(common, *client, o, std::move(*reply));
  }
  const json::value* siblings = reply->as_object().if_contains("siblings");
  bool conflict = siblings != nullptr && siblings->is_array() && !siblings->as_array().empty();
  if (common.json) PrintAnswer(*client);
  if (conflict) return ShowSiblings(o, *reply);
  if (common.json) return Exit::kDone;
  auto bytes = base::Base64Decode(TextOf(*reply, "value"));
  if (!bytes) return Complain(Exit::kFailed, "the answer holds no value in base64");
  if (!IsTerminal(STDOUT_FILENO)) {
    Write(*bytes);
  } else if (IsText(*bytes)) {
    PrintLine(*bytes);
  } else {
    PrintLine(ShowBytes(*bytes));
    Tell("lariat: {} that are no text; 'lariat get ... > FILE' keeps them as they are\n",
         BytesText(bytes->size()));
  }
  return Exit::kDone;
}

// --- batch -------------------------------------------------------------------------------------

constexpr size_t kBatchItems = 128;  // as docs/http.md
constexpr size_t kBatchBytes = 4 << 20;

struct BatchOptions {
  std::string file = "-";
  std::string bucket = "default";
  size_t failed = 0;  // operations with an error
};

// Sends what is gathered and prints a line for each result; nothing after a message.
bool SendBatch(net::Client& client, std::string operations, BatchOptions* o, Exit* exit) {
  net::Request request;
  request.method = "POST";
  request.target = fmt::format("/v1/buckets/{}/kv/batch", net::PercentEncode(o->bucket));
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = R"({"operations":[)" + std::move(operations) + "]}";
  const auto reply = Ask(client, request);
  if (!reply) {
    *exit = reply.error();
    return false;
  }
  for (const json::value& result : ArrayOf(*reply, "results")) {
    o->failed += NumberOf(result, "status") >= 400 ? 1 : 0;
    PrintLine(json::serialize(result));
  }
  return true;
}

Exit Batch(const Common& common, BatchOptions o) {
  std::ifstream file;
  if (o.file != "-") file.open(o.file);
  std::istream& in = o.file == "-" ? std::cin : file;
  if (!in) {
    return Complain(Exit::kUsage, fmt::format("cannot read {}: {}", o.file, std::strerror(errno)));
  }
  auto client = Connect(common, kUsualWait);
  if (!client) return Exit::kUsage;
  constexpr size_t kAround = 32;  // bytes beside the operations
  std::string operations;
  size_t count = 0;
  Exit exit = Exit::kDone;
  const auto flush = [&] {
    const bool sent = count == 0 || SendBatch(*client, std::exchange(operations, {}), &o, &exit);
    count = 0;
    return sent;
  };
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const bool full =
        count == kBatchItems || operations.size() + line.size() + kAround > kBatchBytes;
    if (full && !flush()) return exit;
    operations += (count++ == 0 ? "" : ",") + line;
  }
  if (!flush()) return exit;
  return o.failed == 0 ? Exit::kDone : Exit::kFailed;
}

void AddBatch(CLI::App& app, Session& session) {
  auto o = std::make_shared<BatchOptions>();
  CLI::App* command = AddCommand(
      app, session, "batch", "Many operations at once: a line of JSON for each, and for its result",
      "  lariat batch operations.ndjson\n"
      "  echo '{\"op\":\"get\",\"key\":\"hello\"}' | lariat batch\n"
      "An operation is what POST /v1/kv/batch takes (docs/http.md#batches). Results stand in the\n"
      "order of the operations, and go to the node in batches of up to 128. The exit code is 1 if\n"
      "one of them has an error; the others are done all the same.");
  command->add_option("FILE", o->file, "One operation a line; - for standard input (default)");
  command->add_option("-b,--bucket", o->bucket, "Of operations that name none (default: default)");
  command->callback(
      [&session, o] { session.run = [&session, o] { return Batch(session.common, *o); }; });
}

}  // namespace

void AddKvCommands(CLI::App& app, Session& session) {
  auto put = std::make_shared<KvOptions>();
  CLI::App* command = AddCommand(app, session, "put", "Write a value",
                                 "  lariat put hello world\n"
                                 "  lariat put photo --file cat.jpg --content-type image/jpeg\n"
                                 "  date | lariat put now - --ttl 60\n"
                                 "A value that starts with a dash: lariat put KEY -- -5");
  AddKeyOptions(command, put);
  command->add_option("VALUE", put->value, "The bytes, or - for standard input");
  command->add_option("-f,--file", put->file, "Take the value from a file");
  AddWriteOptions(command, put);
  command->add_option("--ttl", put->ttl, "Seconds until the value expires; 0 = never");
  command->add_option("--content-type", put->content_type, "Kept with the value");
  CLI::Option* absent =
      command->add_flag("--if-none-match", put->if_none_match, "Only if the key has no value");
  command->add_flag("--replace", put->replace, "Read first, and replace what is there by then")
      ->excludes("--context", "--if-match")
      ->excludes(absent);
  command->add_option("--client-timestamp", put->client_timestamp_ms,
                      "Milliseconds since 1970, lww buckets only");
  command->callback(
      [&session, put] { session.run = [&session, put] { return Put(session, *put); }; });

  auto update = std::make_shared<KvOptions>();
  command = AddCommand(app, session, "update", "Do an operation on a value that merges",
                       "  lariat update visits '{\"increment\": 1}' --bucket counters\n"
                       "  lariat update cart '{\"add\": [\"milk\"], \"remove\": [\"eggs\"]}' "
                       "--bucket carts");
  AddKeyOptions(command, update);
  command
      ->add_option("JSON", update->value, "The operation (docs/types.md), or - for standard input")
      ->required();
  AddWriteOptions(command, update);
  command->add_option("--ttl", update->ttl, "Seconds until the value expires; 0 = never");
  command->callback([&session, update] {
    session.run = [&session, update] { return Update(session, *update); };
  });

  auto get = std::make_shared<KvOptions>();
  command = AddCommand(app, session, "get", "Read a value: its exact bytes on standard output",
                       "  lariat get hello\n  lariat get hello --json\n  lariat get hello --r 3");
  AddKeyOptions(command, get);
  command->add_option("--r", get->r, "Replicas that must have answered");
  command->add_option("--pr", get->pr, "Of these, how many primary replicas");
  command->callback(
      [&session, get] { session.run = [&session, get] { return Get(session.common, *get); }; });

  auto del = std::make_shared<KvOptions>();
  command = AddCommand(app, session, "del", "Delete a key", "  lariat del hello");
  AddKeyOptions(command, del);
  AddWriteOptions(command, del);
  command->callback(
      [&session, del] { session.run = [&session, del] { return Delete(session, *del); }; });
  AddBatch(app, session);
}

}  // namespace lariat::cli
