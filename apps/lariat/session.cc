// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/session.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "apps/lariat/commands.h"
#include "apps/lariat/login/credentials.h"
#include "apps/lariat/terminal/suggest.h"
#include "apps/lariat/terminal/text.h"
#include "base/base64.h"

namespace lariat::cli {

namespace {

constexpr double kWaitSecondsMax = 86400;

std::chrono::milliseconds Millis(double seconds) {
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

void AddCommonOptions(CLI::App& command, Common& common) {
  command
      .add_option("--node", common.nodes,
                  "HTTP address of a node, repeatable: tried in order (or LARIAT_NODE=A,B; "
                  "default 127.0.0.1:7480)")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_flag("--json", common.json, "JSON on standard output, for programs");
  command
      .add_option("--timeout", common.timeout_s,
                  "Longest wait for one answer, over all nodes (default: by the command)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, kWaitSecondsMax));
  command.add_option("--user", common.user,
                     "Log in as this user, with the password in LARIAT_PASSWORD or as typed "
                     "(without: LARIAT_TOKEN, or the token of 'lariat login')");
  command
      .add_option("--connect-timeout", common.connect_timeout_s,
                  "Longest wait for a connection before the next node is tried (default 1)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, kWaitSecondsMax));
  command
      .add_option("--ca", common.files.ca,
                  "The nodes speak TLS; FILE has the authority to believe (or LARIAT_CA=FILE)")
      ->type_name("FILE");
  command.add_option("--cert", common.files.cert, "Certificate to show them; needs --key")
      ->type_name("FILE");
  command.add_option("--key", common.files.key, "Its private key")->type_name("FILE");
}

bool HasScheme(const std::vector<std::string>& nodes, const char* environment) {
  const auto secure = [](const std::string& node) { return node.starts_with("https://"); };
  return std::any_of(nodes.begin(), nodes.end(), secure) ||
         (nodes.empty() && environment != nullptr &&
          std::string_view(environment).find("https://") != std::string_view::npos);
}

// Commands that speak to no node that the caller names.
bool IsLocal(const CLI::App& app) {
  const std::string name = app.get_subcommands().front()->get_name();
  return name == "up" || name == "down" || name == "cert" || name == "plan" || name == "completion";
}

// The files are read before the command runs. An error: usage.
base::Status ReadTrust(Common* common) {
  net::TrustFiles files = common->files;
  const char* ca = std::getenv("LARIAT_CA");
  if (files.ca.empty() && ca != nullptr) files.ca = ca;
  if (files.ca.empty()) {
    const bool wanted = !files.cert.empty() || !files.key.empty() ||
                        HasScheme(common->nodes, std::getenv("LARIAT_NODE"));
    if (!wanted) return {};
    return base::Fail(base::Code::kInvalidArgument,
                      "https:// and --cert need --ca FILE, or LARIAT_CA: whom to believe");
  }
  auto trust = net::LoadTrust(files);
  if (!trust) return base::Fail(trust.error());
  common->trust = std::move(*trust);
  return {};
}

}  // namespace

CLI::App* AddCommand(CLI::App& parent, Session& session, const std::string& name,
                     const std::string& about, const std::string& examples) {
  CLI::App* command = parent.add_subcommand(name, about);
  AddCommonOptions(*command, session.common);
  command->footer("Example:\n" + examples);
  return command;
}

namespace {

// What is wrong with the text of a number; empty if nothing is.
template <typename Integer>
std::string IntegerProblem(const std::string& text) {
  Integer number = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, number);
  const std::string_view digits = std::string_view(text).substr(text.starts_with('-') ? 1 : 0);
  const bool octal = digits.size() > 1 && digits.starts_with('0');
  if (error == std::errc::result_out_of_range) return fmt::format("{} is out of range", text);
  if (error == std::errc() && stop == end && !octal) return "";
  return fmt::format("{} is no whole number in decimal digits", text);
}

std::string FloatProblem(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool whole = !text.empty() && *end == '\0' && std::isfinite(number);
  return whole ? "" : fmt::format("{} is no number", text);
}

// The parser takes the nearest number for one that is too large, and octal digits after a 0.
void CheckNumbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    auto check = [&](std::string (*problem)(const std::string&)) {
      option->check(CLI::Validator(problem, ""));
    };
    if (type.starts_with("INT")) check(IntegerProblem<int64_t>);
    if (type.starts_with("UINT")) check(IntegerProblem<uint64_t>);
    if (type.find("FLOAT") != std::string::npos) check(FloatProblem);
  }
  for (CLI::App* command : app.get_subcommands(nullptr)) CheckNumbers(*command);
}

// "help put" is "put --help", and so on.
std::vector<std::string> Words(int argc, const char* const* argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) return words;
  if (words[0] == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  } else if (words[0] == "version") {
    words[0] = "--version";
  }
  return words;
}

void AddCompletion(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("completion", "A script that completes commands in bash");
  command->footer("Example:\n  eval \"$(lariat completion)\"");
  command->callback([&app, &session] {
    session.needs_login = false;
    session.run = [&app] {
      Write(BashCompletion(app));
      return Exit::kDone;
    };
  });
}

// What could not be written is a failure, whatever the command did; what it had to say goes first.
int Finished(Exit exit) {
  if (!FlushOutput() && exit == Exit::kDone) exit = Exit::kFailed;
  return static_cast<int>(exit);
}

}  // namespace

int Main(int argc, const char* const* argv) {
  ResetOutput();
  CLI::App app{"lariat: local clusters, data, operations and benchmarks of Lariat", "lariat"};
  app.footer(
      "Exit codes: 0 done, 1 failed or timed out, 2 wrong usage, 3 no node reachable, 4 refused,\n"
      "5 key not found or condition false, 6 unhealthy, 7 siblings need a decision.\n"
      "Start with:  lariat up");
  app.set_version_flag("--version", std::string("lariat ") + LARIAT_VERSION);
  app.require_subcommand(1);
  Session session;
  Common before;  // of its own: the parser fills both, and in an order of its own
  AddCommonOptions(app, before);
  AddLocalCommands(app, session);
  AddCertCommands(app, session);
  AddKvCommands(app, session);
  AddBucketCommands(app, session);
  AddClusterCommands(app, session);
  AddChangeCommands(app, session);
  AddTopologyCommands(app, session);
  AddRepairCommands(app, session);
  AddListCommands(app, session);
  AddTopCommand(app, session);
  AddDoctorCommand(app, session);
  AddHotCommands(app, session);
  AddTransferCommands(app, session);
  AddLoginCommands(app, session);
  AddBenchCommand(app, session);
  AddPlanCommand(app, session);
  AddLockCommand(app, session);
  AddCompletion(app, session);
  CheckNumbers(app);
  session.words = Words(argc, argv);
  if (session.words.empty()) {
    Write(app.help());
    return Finished(Exit::kUsage);
  }
  try {
    app.parse(std::vector<std::string>(session.words.rbegin(), session.words.rend()));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream complaint;
    bool asked = app.exit(error, out, complaint) == 0;  // --help and --version
    Write(out.str());
    TellText(complaint.str());
    if (const std::string meant = DidYouMean(app, session.words); !asked && !meant.empty()) {
      Tell("lariat: {}\n", meant);
    }
    return Finished(asked ? Exit::kDone : Exit::kUsage);
  }
  session.common.json |= before.json;
  if (!session.common.timeout_s) session.common.timeout_s = before.timeout_s;
  if (!session.common.connect_timeout_s) {
    session.common.connect_timeout_s = before.connect_timeout_s;
  }
  std::vector<std::string>& nodes = session.common.nodes;
  nodes.insert(nodes.begin(), before.nodes.begin(), before.nodes.end());
  if (session.common.user.empty()) session.common.user = before.user;
  if (session.needs_login) {
    auto header = Authorization(session.common.user);
    if (!header) return Finished(Complain(Exit::kUsage, header.error().message));
    session.common.authorization = std::move(*header);
  }
  net::TrustFiles& files = session.common.files;
  if (files.ca.empty()) files.ca = before.files.ca;
  if (files.cert.empty()) files.cert = before.files.cert;
  if (files.key.empty()) files.key = before.files.key;
  const auto read = IsLocal(app) ? base::Status() : ReadTrust(&session.common);
  if (!read) return Finished(Complain(Exit::kUsage, read.error().message));
  return Finished(session.run());
}

base::Result<std::vector<net::Address>> ResolveNodes(const std::vector<std::string>& given,
                                                     const char* environment) {
  std::vector<std::string> texts = given;
  if (texts.empty() && environment != nullptr) {
    texts = CLI::detail::split(environment, ',');
    std::erase(texts, "");
  }
  if (texts.empty()) texts.emplace_back(kDefaultNode);
  std::vector<net::Address> nodes;
  for (const std::string& text : texts) {
    auto address = net::ParseAddress(text);
    if (!address) return base::Fail(address.error());
    nodes.push_back(std::move(*address));
  }
  return nodes;
}

std::optional<net::Client> Connect(const Common& common, std::chrono::milliseconds wait) {
  auto nodes = ResolveNodes(common.nodes, std::getenv("LARIAT_NODE"));
  if (!nodes) {
    Complain(Exit::kUsage, nodes.error().message);
    return std::nullopt;
  }
  const net::Limits limits = common.Limits(wait, nodes->size());
  return std::optional<net::Client>(std::in_place, std::move(*nodes), limits);
}

net::Limits Common::Limits(std::chrono::milliseconds usual, size_t count) const {
  net::Limits limits;
  limits.trust = trust;
  if (connect_timeout_s) limits.connect = Millis(*connect_timeout_s);
  // What is spent on nodes that cannot be reached is not taken from the one that can, unless the
  // caller wants an end by then.
  limits.total = usual + limits.connect * static_cast<int64_t>(count);
  if (timeout_s) limits.total = Millis(*timeout_s);
  limits.authorization = authorization;
  return limits;
}

std::optional<std::string> KeyBytes(const std::string& typed, bool base64) {
  auto bytes = base64 ? base::Base64Decode(typed) : typed;
  if (!bytes) {
    Complain(Exit::kUsage, fmt::format("'{}' is not base64", Printable(typed)));
    return std::nullopt;
  }
  if (!bytes->empty() && bytes->size() <= kKeyBytesMax) return bytes;
  Complain(Exit::kUsage,
           fmt::format("a key has 1 to {} bytes, this one has {}", kKeyBytesMax, bytes->size()));
  return std::nullopt;
}

Exit ExitOf(const net::Response& response) {
  if (response.Ok()) return Exit::kDone;
  const std::string code = ParseErrorBody(response.body).code;
  if (code == "too_many_siblings" || code == "object_too_large") return Exit::kSiblings;
  if (code == "conflict") return Exit::kFailed;  // no condition of the caller's was false
  switch (response.status) {
    case 300:
      return Exit::kSiblings;
    case 400:
    case 405:
    case 411:
    case 413:
    case 414:
    case 415:
    case 431:
      return Exit::kUsage;
    case 401:
    case 403:
      return Exit::kRefused;
    case 404:
    case 409:
    case 412:
      return Exit::kNotFound;
    default:
      return Exit::kFailed;
  }
}

Exit Complain(Exit code, std::string_view message) {
  Tell("lariat: {}\n", message);
  return code;
}

Exit Explain(const net::TransportError& error) {
  switch (error.failure) {
    case net::Failure::kNotSent:
      return Complain(Exit::kUnreachable,
                      fmt::format("no node reachable ({}). Is one running? 'lariat up' starts a "
                                  "local cluster; --node names another.",
                                  error.message));
    case net::Failure::kLost:
    case net::Failure::kTimeout:
      break;
  }
  const char* what = error.failure == net::Failure::kLost ? "connection lost" : "no answer in time";
  const char* meaning = error.read ? "nothing was read, and nothing was changed"
                                   : "a write may or may not have happened";
  return Complain(Exit::kFailed, fmt::format("{} ({}): {}", what, error.message, meaning));
}

Exit Explain(const net::Response& response) {
  ErrorBody error = ParseErrorBody(response.body);
  std::string code = error.code.empty() ? fmt::format("HTTP {}", response.status) : error.code;
  std::string text = error.message.empty() ? code : fmt::format("{} ({})", error.message, code);
  if (response.status == 401) text += "; 'lariat login --user NAME' logs in";
  return Complain(ExitOf(response), text);
}

ErrorBody ParseErrorBody(std::string_view body) {
  boost::json::error_code problem;
  boost::json::value parsed = boost::json::parse({body.data(), body.size()}, problem);
  if (problem || !parsed.is_object()) return {};
  const boost::json::value* error = parsed.as_object().if_contains("error");
  if (error == nullptr) return {};
  return {TextOf(*error, "code"), TextOf(*error, "message")};
}

tl::expected<boost::json::value, Exit> Ask(net::Client& client, const net::Request& request) {
  return Answer(client, client.Send(request));
}

tl::expected<boost::json::value, Exit> Answer(const net::Client& client,
                                              const net::Outcome& outcome) {
  if (!outcome) return tl::unexpected(Explain(outcome.error()));
  if (!outcome->Ok()) return tl::unexpected(Explain(*outcome));
  if (outcome->body.empty()) return boost::json::value(nullptr);
  boost::json::error_code problem;
  boost::json::value parsed = boost::json::parse(outcome->body, problem);
  if (problem) {
    return tl::unexpected(Complain(
        Exit::kFailed, fmt::format("{} did not answer with JSON; is it a Lariat HTTP address?",
                                   client.answered_by().ToString())));
  }
  return parsed;
}

void PrintAnswer(const net::Client& client) {
  std::string_view body = client.body();
  while (body.ends_with('\n') || body.ends_with('\r')) body.remove_suffix(1);
  PrintLine(body);
}

std::string TextOf(const boost::json::value& object, std::string_view member) {
  if (!object.is_object()) return "";
  const boost::json::value* value = object.as_object().if_contains({member.data(), member.size()});
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return std::string(value->as_string());
  if (value->is_double()) return fmt::format("{}", value->as_double());
  return boost::json::serialize(*value);
}

double NumberOf(const boost::json::value& object, std::string_view member) {
  const std::string text = TextOf(object, member);
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool FlagOf(const boost::json::value& object, std::string_view member) {
  return TextOf(object, member) == "true";
}

const boost::json::array& ArrayOf(const boost::json::value& object, std::string_view member) {
  static const boost::json::array kNone;
  if (!object.is_object()) return kNone;
  const boost::json::value* value = object.as_object().if_contains({member.data(), member.size()});
  return value != nullptr && value->is_array() ? value->as_array() : kNone;
}

}  // namespace lariat::cli
