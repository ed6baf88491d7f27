// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/options.h"

#include <netdb.h>
#include <netinet/in.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <vector>

#include "apps/lariatd/version.h"
#include "config/describe.h"
#include "env/posix/file.h"

namespace lariat::lariatd {
namespace {

using base::Code;
using base::Fail;

constexpr size_t kConfigBytesMax = 1 << 20;

struct Flags {
  std::string config;
  std::vector<std::pair<std::string, std::string>> shorthands;  // key, value
  std::vector<std::string> sets;
  bool print_config = false;
};

// A flag that is another name for one setting.
void AddShorthand(CLI::App* app, Flags* flags, const std::string& flag, const std::string& key,
                  const std::string& help) {
  app->add_option_function<std::string>(
         "--" + flag,
         [flags, key](const std::string& value) { flags->shorthands.emplace_back(key, value); },
         help + " (" + key + ")")
      ->type_name("VALUE");
}

void Describe(CLI::App* app, Flags* flags) {
  app->set_version_flag("--version", std::string("lariatd ") + kVersion);
  app->add_option("--config", flags->config, "Configuration file (TOML)")->type_name("FILE");
  AddShorthand(app, flags, "name", "node.name", "Name of this node");
  AddShorthand(app, flags, "data-dir", "node.data_dir", "Data directory");
  AddShorthand(app, flags, "http", "listen.http", "Address for HTTP, host:port");
  AddShorthand(app, flags, "resp", "listen.resp", "Address for the Redis protocol, host:port");
  AddShorthand(app, flags, "peer", "listen.peer", "Address for other nodes, host:port");
  AddShorthand(app, flags, "advertise-http", "advertise.http",
               "Address at which others reach --http, if that is another, host:port");
  AddShorthand(app, flags, "advertise-resp", "advertise.resp", "The same for --resp");
  AddShorthand(app, flags, "advertise-peer", "advertise.peer", "The same for --peer");
  AddShorthand(app, flags, "join", "cluster.join",
               "Peer addresses of the first nodes, comma separated");
  AddShorthand(app, flags, "replace", "cluster.replace",
               "With --join, at the first start: take the place and the tokens of this dead node, "
               "under a name of one's own or the same");
  AddShorthand(app, flags, "dc", "node.dc", "Datacenter");
  AddShorthand(app, flags, "rack", "node.rack", "Rack");
  AddShorthand(app, flags, "weight", "node.weight", "Share of the data relative to other nodes");
  AddShorthand(app, flags, "shards", "node.shards", "Event loops, 0 = one for each core");
  AddShorthand(app, flags, "log-level", "log.level", "trace, debug, info, warn or error");
  app->add_option("--set", flags->sets, "Any setting, repeatable")->type_name("SECTION.KEY=VALUE");
  app->add_flag("--print-config", flags->print_config,
                "Print every setting with value, default, unit and meaning, and exit");
  app->footer(
      "Precedence: flag, environment (LARIAT_SECTION__KEY), file, default.\n"
      "Signals: SIGTERM and SIGINT drain and exit 0 (a second one exits at once); after SIGTERM\n"
      "/readyz says so for shutdown.linger_ms before anything is refused.\n"
      "SIGHUP reads the configuration file again and applies what can change live.\n"
      "Example: lariatd --name node1 --data-dir /var/lib/lariat --join 127.0.0.1:7482");
}

base::Status Load(const Flags& flags, char** environment, config::SettingsBuilder* builder) {
  if (!flags.config.empty()) {
    auto text = env::posix::ReadFile(flags.config, kConfigBytesMax);
    if (!text) return Fail(Code::kInvalidArgument, text.error().message);
    if (auto status = builder->LoadToml(*text, flags.config); !status) return status;
  }
  std::vector<std::string> entries;
  for (char** entry = environment; *entry != nullptr; ++entry) entries.emplace_back(*entry);
  if (auto status = builder->LoadEnvironment(entries); !status) return status;
  for (const auto& [key, value] : flags.shorthands) {
    if (auto status = builder->Set(key, value, "--" + key); !status) return status;
  }
  for (const std::string& set : flags.sets) {
    if (auto status = builder->Set(set, "--set"); !status) return status;
  }
  return {};
}

tl::expected<Flags, Exit> ParseFlags(int argc, char** argv) {
  Flags flags;
  CLI::App app("lariatd: one node of a Lariat cluster", "lariatd");
  Describe(&app, &flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected(Exit{0, app.help()});
  } catch (const CLI::CallForVersion& e) {
    return tl::unexpected(Exit{0, std::string(e.what()) + "\n"});
  } catch (const CLI::Error& e) {
    return tl::unexpected(Exit{2, std::string("lariatd: ") + e.what() + " (see lariatd --help)\n"});
  }
  return flags;
}

bool IsLoopback(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host.starts_with("127.") || host == "localhost" || host == "[::1]";
}

// 0.0.0.0, [::] and the other ways to write "every address of this machine".
bool IsWildcard(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  bool any = false;
  if (found->ai_family == AF_INET) {
    any = reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr.s_addr == 0;
  } else if (found->ai_family == AF_INET6) {
    const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(found->ai_addr)->sin6_addr;
    const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    any = IN6_IS_ADDR_UNSPECIFIED(&v6) || std::memcmp(&v6, mapped, sizeof(mapped)) == 0;
  }
  freeaddrinfo(found);
  return any;
}

// Of a build without TLS there is no such setting.
// While it goes over to TLS a node takes others, too.
bool HasTls(const config::Settings& s) {
  return !s.security_cert_file.empty() && !s.security_transition;
}

// What a node needs that others can reach, with the settings and the commands that make it; empty:
// it has all of it.
std::string MissingDoors(const config::Settings& s) {
  std::string missing;
  if (!HasTls(s)) {
    missing =
        "there is no TLS (security.cert_file, security.key_file, security.ca_file; 'lariat "
        "cert ca DIR' and 'lariat cert node DIR NAME' make the files)";
  }
  if (s.security_auth == "on") return missing;
  missing += missing.empty() ? "" : " and ";
  return missing +
         "there is no authentication (security.auth = \"on\", with "
         "security.bootstrap_password_file for the first administrator; 'openssl rand "
         "-base64 18 > FILE; chmod 600 FILE' makes one)";
}

}  // namespace

tl::expected<Options, Exit> ParseOptions(int argc, char** argv, char** environment) {
  auto flags = ParseFlags(argc, argv);
  if (!flags) return tl::unexpected(flags.error());
  config::SettingsBuilder builder;
  const auto refuse = [](const base::Error& error) {
    return tl::unexpected(Exit{2, "lariatd: " + error.message + "\n"});
  };
  if (auto status = Load(*flags, environment, &builder); !status) return refuse(status.error());
  auto settings = builder.Build();
  if (!settings) return refuse(settings.error());
  Options options{std::move(*settings), flags->config, flags->print_config, ""};
  if (options.print_config) options.printed_config = config::PrintConfig(builder);
  return options;
}

base::Result<config::Settings> ReadAgain(int argc, char** argv, char** environment) {
  auto flags = ParseFlags(argc, argv);
  if (!flags) return Fail(Code::kInternal, flags.error().text);
  config::SettingsBuilder builder;
  if (auto status = Load(*flags, environment, &builder); !status) return Fail(status.error());
  return builder.Build();
}

base::Status CheckListeners(const config::Settings& s) {
  struct Listener {
    const char* key;
    const std::string& address;
    const char* advertise_key;
    const std::string& advertise;
  };
  const Listener listeners[] = {{"listen.http", s.listen_http, "advertise.http", s.advertise_http},
                                {"listen.resp", s.listen_resp, "advertise.resp", s.advertise_resp},
                                {"listen.peer", s.listen_peer, "advertise.peer", s.advertise_peer}};
  for (const auto& [key, address, advertise_key, advertise] : listeners) {
    const std::string missing = MissingDoors(s);
    if (s.security_insecure || missing.empty() || IsLoopback(address)) continue;
    std::string why = std::string(key) + " = " + address + " is open to other machines, and " +
                      missing + ". Or set " + key +
                      " to a loopback address (127.0.0.1:PORT), or set security.insecure = true if "
                      "everybody who can reach this machine may read and change all data";
    if (IsWildcard(address) && advertise.empty())
      why += std::string("; then ") + advertise_key + " is needed too";
    return Fail(Code::kInvalidArgument, std::move(why));
  }
  for (const auto& [key, address, advertise_key, advertise] : listeners) {
    const bool nowhere = IsWildcard(advertise) || advertise.ends_with(":0");
    if (!nowhere && (!advertise.empty() || !IsWildcard(address))) continue;
    const std::string wrong = nowhere ? std::string(advertise_key) + " = " + advertise
                                      : std::string(key) + " = " + address;
    return Fail(Code::kInvalidArgument,
                wrong +
                    " is no address that others could connect to. Add the one by which they "
                    "reach this node: --set " +
                    advertise_key + "=HOST" + address.substr(address.rfind(':')));
  }
  return {};
}

}  // namespace lariat::lariatd
