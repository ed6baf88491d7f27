// SPDX-License-Identifier: Apache-2.0
// LARIAT.GET, LARIAT.PUT and LARIAT.DEL over RESP3 (the Redis protocol). A connection begins with
// HELLO 3; from then on a reply is one RESP value.
#include <charconv>
#include <utility>

#include "client/wire/resp_value.h"
#include "client/wire/wire.h"

namespace lariat::client {
namespace {

void AppendCommand(const std::vector<std::string_view>& words, std::string& out) {
  out += '*' + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    out += '$' + std::to_string(word.size()) + "\r\n";
    out += word;
    out += "\r\n";
  }
}

// Levels are numbers here; 0: what the bucket says.
uint32_t CountOf(Consistency level, uint32_t n) {
  switch (level) {
    case Consistency::Any:
    case Consistency::One:
    case Consistency::LocalOne:
    case Consistency::Adaptive:
      return 1;
    case Consistency::Two:
      return 2;
    case Consistency::Three:
      return 3;
    case Consistency::Quorum:
    case Consistency::LocalQuorum:
    case Consistency::EachQuorum:
      return n / 2 + 1;
    case Consistency::All:
      return n;
    case Consistency::Default:
    case Consistency::Serial:
      break;
  }
  return 0;
}

// As in HTTP: "[(node1,5),(node2,3)]".
std::string VersionOf(const RespValue& map) {
  const RespValue* version = map.Find("version");
  if (version == nullptr || version->parts.empty()) return map.Text("version");
  std::string out;
  for (size_t i = 0; i + 1 < version->parts.size(); i += 2) {
    out += (i == 0 ? "[(" : ",(") + version->parts[i].text + ',' + version->parts[i + 1].text + ')';
  }
  return out + ']';
}

Sibling SiblingOf(const RespValue& map) {
  Sibling out;
  out.bytes = map.Text("value");
  out.version = VersionOf(map);
  out.content_type = map.Text("content_type");
  out.timestamp_ms = map.Number("timestamp");
  return out;
}

void ReadMap(const RespValue& map, Reply& reply) {
  reply.context = map.Text("context");
  reply.version = VersionOf(map);
  reply.expires_ms = map.Number("expires");
  if (map.Find("value") != nullptr) reply.values.push_back(SiblingOf(map));
  const RespValue* siblings = map.Find("siblings");
  if (siblings == nullptr) return;
  for (const RespValue& each : siblings->parts) {
    if (each.kind == RespValue::Kind::kMap) {
      reply.values.push_back(SiblingOf(each));
    } else {
      reply.values.push_back({each.text, {}, {}, 0});
    }
  }
}

// "ERR insufficient_replicas 2 needed, 1 alive" as "insufficient_replicas" and the rest.
void ReadError(std::string_view text, Reply& reply) {
  const size_t first = text.find(' ');
  std::string_view word = text.substr(0, first);
  std::string_view rest = first == std::string_view::npos ? "" : text.substr(first + 1);
  if (word == "ERR") {
    const size_t second = rest.find(' ');
    word = rest.substr(0, second);
    rest = second == std::string_view::npos ? "" : rest.substr(second + 1);
  }
  reply.code = CodeOf(word, 0);
  if (word == "NOAUTH" || word == "WRONGPASS" || word == "NOPERM") {
    reply.code = Code::NotAuthorized;
  } else if (reply.code == Code::Server && word != "server") {
    reply.code = Code::InvalidArgument;  // Redis' own words for a command that is wrong
  }
  reply.message = std::string(reply.code == Code::InvalidArgument ? text : rest);
}

class RespWire : public Wire {
 public:
  explicit RespWire(Login login) : login_(std::move(login)) {}

  std::string Greeting() const override {
    std::string out;
    std::vector<std::string_view> words{"HELLO", "3"};
    if (!login_.user.empty()) words.insert(words.end(), {"AUTH", login_.user, login_.password});
    AppendCommand(words, out);
    return out;
  }

  void Encode(const Request& request, std::chrono::milliseconds, std::string& out) const override {
    constexpr std::string_view kCommands[] = {"LARIAT.GET", "LARIAT.PUT", "LARIAT.DEL"};
    std::vector<std::string_view> words{kCommands[static_cast<size_t>(request.op)], request.bucket,
                                        request.key};
    if (request.op == Request::Op::kPut) words.emplace_back(request.value);
    const auto option = [&words](std::string_view name, std::string_view value) {
      if (!value.empty()) words.insert(words.end(), {name, value});
    };
    const uint32_t count = CountOf(request.level, request.n);
    const std::string number = count == 0 ? "" : std::to_string(count);
    const std::string ttl = request.ttl ? std::to_string(*request.ttl) : "";
    option("CONTEXT", request.context);
    option("IFMATCH", request.if_match);
    option(request.IsRead() ? "R" : "W", number);
    option("TTL", ttl);
    option("IDEMPOTENCY", request.id);
    AppendCommand(words, out);
  }

  Decoded Decode(std::string_view in) override {
    Decoded out;
    RespValue value;
    const RespParsed parsed = ParseResp(in, value);
    if (parsed.state == RespParsed::State::kMore) return out;
    out.state = State::kBroken;
    if (parsed.state == RespParsed::State::kBad) return out;
    out.used = parsed.size;
    out.state = State::kReply;
    switch (value.kind) {
      case RespValue::Kind::kError:
        ReadError(value.text, out.reply);
        break;
      case RespValue::Kind::kNull:
        out.reply.code = Code::NotFound;
        out.reply.message = "no value";
        break;
      case RespValue::Kind::kMap:
        ReadMap(value, out.reply);
        break;
      case RespValue::Kind::kPush:  // nobody asked for it
        out.state = State::kMore;
        break;
      default:
        break;
    }
    return out;
  }

 private:
  const Login login_;
};

}  // namespace

std::unique_ptr<Wire> MakeRespWire(Login login) {
  return std::make_unique<RespWire>(std::move(login));
}

}  // namespace lariat::client
