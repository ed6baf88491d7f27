// SPDX-License-Identifier: Apache-2.0
// What all commands share: exit codes, the options every command takes, and the way an answer or a
// failure becomes text and an exit code.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lariat/net/client.h"
#include "apps/lariat/terminal/output.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace lariat::cli {

// Part of the interface (docs/cli.md): numbers never change.
enum class Exit : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kUnreachable = 3,
  kRefused = 4,
  kNotFound = 5,  // a key, bucket, node or task; or a condition that was false
  kUnhealthy = 6,
  kSiblings = 7,
};

struct Common {
  std::vector<std::string> nodes;  // as given; empty takes LARIAT_NODE, then kDefaultNode
  bool json = false;
  std::optional<double> timeout_s;  // for one answer, over all nodes; none: what the command takes
  std::optional<double> connect_timeout_s;
  std::string user;           // as given; empty: whoever logged in
  std::string authorization;  // that requests bring; empty: none (login/credentials.h)
  net::TrustFiles files;      // as given; the CA may also be in LARIAT_CA
  std::shared_ptr<const net::Trust> trust;  // null: no TLS

  // Of requests to one of `count` nodes by a command that usually waits for `usual`.
  net::Limits Limits(std::chrono::milliseconds usual, size_t count = 1) const;
};

inline constexpr std::string_view kDefaultNode = "127.0.0.1:7480";
inline constexpr size_t kKeyBytesMax = 256;
inline constexpr size_t kValueBytesMax = 1048576;
inline constexpr std::string_view kKeyBase64Help =
    "KEY is base64: for keys with NULs, line ends or other bytes";

// Filled by the parser: `run` is the chosen command, bound to its options.
struct Session {
  Common common;  // what stood before the command is added to it
  std::function<Exit()> run;
  bool needs_login = true;         // false: it brings no login of its own, or asks no node
  std::vector<std::string> words;  // the command line as it was typed, without the program
};

// A command with --node, --json and an example in its help.
CLI::App* AddCommand(CLI::App& parent, Session& session, const std::string& name,
                     const std::string& about, const std::string& examples);

// The whole command line but for the program: parses, prints help or what is wrong, runs.
int Main(int argc, const char* const* argv);

// `given`, else the comma-separated `environment`, else the default.
base::Result<std::vector<net::Address>> ResolveNodes(const std::vector<std::string>& given,
                                                     const char* environment);

// A client for the nodes of this command; prints what is wrong and gives nothing if they are not
// addresses. `wait` is the longest wait for one answer, unless --timeout says another.
std::optional<net::Client> Connect(const Common& common, std::chrono::milliseconds wait);
inline constexpr std::chrono::milliseconds kUsualWait{10000};

// The bytes of a key as it was typed; prints what is wrong with it and gives nothing.
std::optional<std::string> KeyBytes(const std::string& typed, bool base64);

Exit ExitOf(const net::Response& response);
Exit Complain(Exit code, std::string_view message);  // stderr "lariat: message"
Exit Explain(const net::TransportError& error);      // a request without an answer
Exit Explain(const net::Response& response);         // an answer that is an error

// "code" and "message" of an error body; empty if the body is none.
struct ErrorBody {
  std::string code;
  std::string message;
};
ErrorBody ParseErrorBody(std::string_view body);

// Sends and gives the parsed JSON body, or says why not and gives the exit code.
tl::expected<boost::json::value, Exit> Ask(net::Client& client, const net::Request& request);
// The same of an answer that is there already.
tl::expected<boost::json::value, Exit> Answer(const net::Client& client,
                                              const net::Outcome& outcome);
// The body of the last answer as it came, so that no number in it is written anew.
void PrintAnswer(const net::Client& client);

// Members of an answer. What is missing or of another type is empty, 0 or false.
std::string TextOf(const boost::json::value& object, std::string_view member);  // any scalar
double NumberOf(const boost::json::value& object, std::string_view member);
bool FlagOf(const boost::json::value& object, std::string_view member);
const boost::json::array& ArrayOf(const boost::json::value& object, std::string_view member);

}  // namespace lariat::cli
