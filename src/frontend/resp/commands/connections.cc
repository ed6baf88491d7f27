// SPDX-License-Identifier: Apache-2.0
// What a client says about itself and its connection.
#include <utility>

#include "frontend/resp/internal/connection.h"
#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/server_facts.h"
#include "security/password.h"

namespace lariat::frontend::resp::commands {
namespace {

using connection::Connection;

constexpr std::string_view kDefaultUser = "default";

// Names stand in lines of CLIENT LIST, between blanks.
bool IsName(std::string_view text) {
  for (const char c : text) {
    if (c < '!' || c > '~') return false;
  }
  return true;
}

constexpr std::string_view kBadName =
    "ERR Client names cannot contain spaces, newlines or special characters.";

RespConnection& ClientAt(Connection* connection) {
  return *static_cast<RespConnection*>(connection);
}

std::string Described(const Shared& shared, const RespConnection& client) {
  const Session& session = client.session();
  const int64_t age = (shared.env.clock.Now() - client.made()) / base::Seconds(1);
  const auto idle_since = client.IdleSince();
  const int64_t idle = idle_since ? (shared.env.clock.Now() - *idle_since) / base::Seconds(1) : 0;
  std::string line = "id=" + std::to_string(client.id());
  line += " addr=" + std::string(client.caller().from()) + " name=" + session.name;
  line += " age=" + std::to_string(age) + " idle=" + std::to_string(idle);
  line += " flags=N db=" + std::to_string(session.database) + " user=";
  line += client.caller().who().empty() ? kDefaultUser : client.caller().who();
  line += " resp=";
  line += session.protocol == Protocol::kResp3 ? '3' : '2';
  line += " lib-name=" + session.library + " lib-ver=" + session.library_version + "\n";
  return line;
}

void SayHello(Call& call, RespConnection& client) {
  ReplyWriter writer(client.session().protocol);
  writer.Map(7).Bulk("server").Bulk("redis").Bulk("version").Bulk(kRedisVersion);
  writer.Bulk("proto").Int(writer.resp3() ? 3 : 2);
  writer.Bulk("id").Int(static_cast<int64_t>(client.id()));
  writer.Bulk("mode").Bulk(ModeOf(call.shared())).Bulk("role").Bulk("master");
  writer.Bulk("modules").Array(0);
  call.Answer(writer);
}

}  // namespace

void Ping(Call call, Args args) {
  if (args.size() > 2) return call.Error("ERR wrong number of arguments for 'ping' command");
  if (args.size() == 2) return call.Bulk(std::string(args[1]));
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Simple("PONG"));
}

void Echo(Call call, Args args) { call.Bulk(std::string(args[1])); }

namespace {

constexpr std::string_view kWrongPass =
    "WRONGPASS invalid username-password pair or user is disabled.";

using Then = base::UniqueFunction<void(Call call, RespConnection& client)>;

// Goes on with `then` if that is the user's password. Nothing else of the connection runs
// meanwhile.
void LogIn(Call call, std::string_view user, std::string_view password, Then then) {
  if (password.size() > security::kPasswordBytesMax) return call.Error(kWrongPass);
  access::AccessService& access = call.shared().access;
  access::Attempt attempt{std::string(user), std::string(password),
                          std::string(call.connection()->caller().from()), "resp"};
  access.Login(std::move(attempt), [call = std::move(call), then = std::move(then)](
                                       base::Result<coordinator::Caller> caller) mutable {
    RespConnection* client = call.connection();
    if (client == nullptr || !call.shared().alive) return;
    if (caller) {
      client->LogIn(std::move(*caller));
      return then(std::move(call), *client);
    }
    if (caller.error().code != base::Code::kUnauthenticated) {
      return call.Refuse(caller.error());
    }
    call.Error(kWrongPass);
  });
}

// Without logins the default user needs no password, and nobody else is known.
void AuthWithoutLogins(Call& call, Args args) {
  if (args.size() == 2) {
    return call.Error(
        "ERR AUTH <password> called without any password configured for the default user. Are "
        "you sure your configuration is correct?");
  }
  if (args[1] == kDefaultUser) return call.Ok();
  call.Error(kWrongPass);
}

struct Greeting {
  Protocol protocol;
  std::optional<std::string> name;
  std::optional<std::pair<std::string_view, std::string_view>> login;
};

// Answers what is wrong, and gives nothing then.
std::optional<Greeting> ReadHello(Call& call, Args args) {
  const auto wrong = [&call](std::string_view text) -> std::optional<Greeting> {
    call.Error(text);
    return std::nullopt;
  };
  Greeting greeting{call.connection()->session().protocol, {}, {}};
  if (args.size() > 1) {
    const auto version = ParseInt(args[1]);
    if (!version) return wrong("ERR Protocol version is not an integer or out of range");
    if (*version != 2 && *version != 3) return wrong("NOPROTO unsupported protocol version");
    greeting.protocol = static_cast<Protocol>(*version);
  }
  for (size_t i = 2; i < args.size(); ++i) {
    if (EqualsIgnoringCase(args[i], "auth") && i + 2 < args.size()) {
      greeting.login = {args[i + 1], args[i + 2]};
      i += 2;
    } else if (EqualsIgnoringCase(args[i], "setname") && i + 1 < args.size()) {
      greeting.name = args[++i];
      if (!IsName(*greeting.name)) return wrong(kBadName);
    } else {
      return wrong("ERR Syntax error in HELLO option '" + std::string(args[i].substr(0, 64)) + "'");
    }
  }
  return greeting;
}

void Greet(Call call, RespConnection& client, Greeting greeting) {
  client.session().protocol = greeting.protocol;
  if (greeting.name) client.session().name = std::move(*greeting.name);
  SayHello(call, client);
}

}  // namespace

void Auth(Call call, Args args) {
  if (args.size() > 3) return call.SyntaxError();
  if (call.shared().access.mode() == access::Mode::kOff) return AuthWithoutLogins(call, args);
  const std::string_view user = args.size() == 3 ? args[1] : kDefaultUser;
  LogIn(std::move(call), user, args.back(),
        [](Call logged_in, RespConnection&) { logged_in.Ok(); });
}

void Hello(Call call, Args args) {
  auto greeting = ReadHello(call, args);
  if (!greeting) return;
  RespConnection& client = *call.connection();
  access::AccessService& access = call.shared().access;
  if (access.mode() == access::Mode::kOff) {
    if (greeting->login && greeting->login->first != kDefaultUser) return call.Error(kWrongPass);
    return Greet(std::move(call), client, std::move(*greeting));
  }
  if (greeting->login) {
    const auto [user, password] = *greeting->login;
    return LogIn(std::move(call), user, password,
                 [greeting = std::move(*greeting)](Call logged_in, RespConnection& known) mutable {
                   Greet(std::move(logged_in), known, std::move(greeting));
                 });
  }
  if (!access.Check(access::Door::kUser, client.caller(), "")) {
    return call.Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  Greet(std::move(call), client, std::move(*greeting));
}

void Quit(Call call, Args) {
  call.connection()->EndAfterThis();
  call.OkAndClose();
}

void Reset(Call call, Args) {
  call.connection()->session() = Session();
  call.connection()->ForgetWho();
  ReplyWriter writer(Protocol::kResp2);
  call.Answer(writer.Simple("RESET"));
}

void Select(Call call, Args args) {
  const auto index = ParseInt(args[1]);
  if (!index) return call.NotAnInteger();
  if (*index < 0 || *index >= kDatabases) return call.Error("ERR DB index is out of range");
  call.connection()->session().Select(static_cast<uint32_t>(*index));
  call.Ok();
}

void ClientId(Call call, Args) { call.Int(static_cast<int64_t>(call.connection()->id())); }

void ClientGetName(Call call, Args) {
  const std::string& name = call.connection()->session().name;
  if (!name.empty()) return call.Bulk(name);
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Null());
}

void ClientGetRedir(Call call, Args) { call.Int(-1); }

void ClientSetName(Call call, Args args) {
  if (!IsName(args[2])) return call.Error(kBadName);
  call.connection()->session().name = args[2];
  call.Ok();
}

void ClientSetInfo(Call call, Args args) {
  if (!IsName(args[3])) {
    return call.Error("ERR " + std::string(args[2].substr(0, 32)) +
                      " cannot contain spaces, newlines or special characters.");
  }
  Session& session = call.connection()->session();
  if (EqualsIgnoringCase(args[2], "lib-name")) {
    session.library = args[3];
  } else if (EqualsIgnoringCase(args[2], "lib-ver")) {
    session.library_version = args[3];
  } else {
    return call.Error("ERR Unrecognized option '" + std::string(args[2].substr(0, 32)) + "'");
  }
  call.Ok();
}

void ClientSwitch(Call call, Args args) {
  const bool known = EqualsIgnoringCase(args[2], "on") || EqualsIgnoringCase(args[2], "off");
  return known ? call.Ok() : call.SyntaxError();
}

void ClientTracking(Call call, Args args) {
  if (args.size() == 3 && EqualsIgnoringCase(args[2], "off")) return call.Ok();
  call.Error(
      "ERR unsupported: CLIENT TRACKING (keys are written through any node, and no node is "
      "told of all writes; give values a time to live at the client)");
}

void ClientInfo(Call call, Args) {
  const std::string line = Described(call.shared(), *call.connection());
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Verbatim(line));
}

void ClientList(Call call, Args args) {
  const bool by_id = args.size() > 3 && EqualsIgnoringCase(args[2], "id");
  if (args.size() > 2 && !by_id) return call.SyntaxError();
  std::string lines;
  for (const auto& [since, connection] : call.shared().connections) {
    const RespConnection& client = ClientAt(connection);
    bool wanted = !by_id;
    for (size_t i = 3; i < args.size(); ++i) {
      wanted = wanted || args[i] == std::to_string(client.id());
    }
    if (wanted) lines += Described(call.shared(), client);
  }
  ReplyWriter writer = call.Writer();
  call.Answer(writer.Verbatim(lines));
}

namespace {

struct KillFilter {
  std::string_view id, address;
  bool skip_me = true;
};

bool ParseKill(Args args, KillFilter* filter) {
  for (size_t i = 0; i + 1 < args.size(); i += 2) {
    if (EqualsIgnoringCase(args[i], "id")) {
      filter->id = args[i + 1];
    } else if (EqualsIgnoringCase(args[i], "addr")) {
      filter->address = args[i + 1];
    } else if (EqualsIgnoringCase(args[i], "skipme")) {
      filter->skip_me = !EqualsIgnoringCase(args[i + 1], "no");
    } else {
      return false;
    }
  }
  return args.size() % 2 == 0;
}

}  // namespace

void ClientKill(Call call, Args args) {
  KillFilter filter;
  const bool old_form = args.size() == 3;
  if (old_form) {
    filter = {{}, args[2], false};
  } else if (!ParseKill(args.subspan(2), &filter)) {
    return call.SyntaxError();
  }
  std::vector<RespConnection*> chosen;
  for (const auto& [since, connection] : call.shared().connections) {
    RespConnection& client = ClientAt(connection);
    const bool meant = (filter.id.empty() || filter.id == std::to_string(client.id())) &&
                       (filter.address.empty() || filter.address == client.caller().from());
    if (meant && !(filter.skip_me && &client == call.connection())) chosen.push_back(&client);
  }
  RespConnection* self = call.connection();
  bool is_self = false;
  for (RespConnection* client : chosen) {
    is_self = is_self || client == self;
    if (client != self) client->CloseNow();
  }
  if (is_self) self->EndAfterThis();
  if (!old_form) return call.Int(static_cast<int64_t>(chosen.size()));
  return chosen.empty() ? call.Error("ERR No such client") : call.Ok();
}

}  // namespace lariat::frontend::resp::commands
