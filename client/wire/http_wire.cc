// SPDX-License-Identifier: Apache-2.0
// The raw dialect of HTTP/1.1 (docs/http.md). Beast parses; requests are written by hand, since
// they are a few fixed lines.
#include <boost/archive/iterators/base64_from_binary.hpp>
#include <boost/archive/iterators/transform_width.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <ctime>
#include <utility>

#include "client/wire/wire.h"

namespace lariat::client {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using boost::system::error_code;

// Well over the longest list of siblings: what a node sends beyond this is not read on.
constexpr uint64_t kBodyBytesMax = uint64_t{64} << 20;
constexpr uint32_t kHeadBytesMax = 256 << 10;

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// The texts "." and ".." too, so that no proxy takes a key for a step of a path.
void AppendEncoded(std::string& out, std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  const bool dots = bytes == "." || bytes == "..";
  for (const char c : bytes) {
    if (IsUnreserved(c) && !dots) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
}

// REQUIRES: nothing in `value` ends the line (wire.h, Invalid).
void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += name;
  out += value;
  out += "\r\n";
}

int64_t NumberOf(std::string_view text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "Sun, 06 Nov 1994 08:49:37 GMT"; 0 for anything else.
int64_t MillisecondsOf(const std::string& date) {
  std::tm time{};
  if (strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time) == nullptr) return 0;
  return static_cast<int64_t>(timegm(&time)) * 1000;
}

using Parser = http::response_parser<http::string_body>;
using Message = http::response<http::string_body>;

// What is looked for in a head, in one pass: looking each up costs more than all the rest.
struct Head {
  std::string_view content_type, version, context, timestamp, expires, retry_after, modified;
};

Head HeadOf(const http::fields& fields) {
  Head head;
  constexpr std::pair<std::string_view, std::string_view Head::*> kOwn[] = {
      {"X-Version", &Head::version},
      {"X-Context", &Head::context},
      {"X-Timestamp", &Head::timestamp},
      {"X-Expires", &Head::expires}};
  for (const auto& field : fields) {
    const std::string_view value(field.value().data(), field.value().size());
    if (field.name() == http::field::content_type) head.content_type = value;
    if (field.name() == http::field::retry_after) head.retry_after = value;
    if (field.name() == http::field::last_modified) head.modified = value;
    if (field.name() != http::field::unknown) continue;
    for (const auto& [name, member] : kOwn) {
      if (boost::beast::iequals(field.name_string(), {name.data(), name.size()})) {
        head.*member = value;
      }
    }
  }
  return head;
}

Sibling SiblingOf(const Head& head, std::string bytes) {
  Sibling value;
  value.bytes = std::move(bytes);
  value.content_type = std::string(head.content_type);
  value.version = std::string(head.version);
  value.timestamp_ms = NumberOf(head.timestamp);
  return value;
}

// A part's lines up to the empty one; false if they are none.
bool ReadPartHead(std::string_view head, http::fields& fields) {
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return false;
    fields.insert(line.substr(0, colon), line.substr(colon + 2));
  }
  return true;
}

// multipart/mixed: "--B CRLF head CRLF CRLF bytes CRLF" for each value, then "--B--".
bool ReadParts(std::string_view type, std::string_view body, std::vector<Sibling>& values) {
  const size_t at = type.find("boundary=");
  if (at == std::string_view::npos) return false;
  const std::string mark = "--" + std::string(type.substr(at + 9));
  const std::string next = "\r\n" + mark;
  if (body.substr(0, mark.size()) != mark) return false;
  body.remove_prefix(mark.size());
  while (body.substr(0, 2) == "\r\n") {
    const size_t head_end = body.find("\r\n\r\n");
    const size_t end = body.find(next, 2);
    if (head_end == std::string_view::npos || end == std::string_view::npos) return false;
    if (end < head_end + 4) return false;
    http::fields fields;
    if (!ReadPartHead(body.substr(2, head_end - 2), fields)) return false;
    const Head head = HeadOf(fields);
    Sibling& value = values.emplace_back(
        SiblingOf(head, std::string(body.substr(head_end + 4, end - head_end - 4))));
    if (value.timestamp_ms == 0) value.timestamp_ms = MillisecondsOf(std::string(head.modified));
    body.remove_prefix(end + next.size());
  }
  return body.substr(0, 2) == "--";
}

void ReadError(const Message& message, Reply& reply) {
  std::string text;
  error_code failed;
  const json::value body = json::parse(message.body(), failed);
  const json::object* object = failed ? nullptr : body.if_object();
  const json::value* error = object == nullptr ? nullptr : object->if_contains("error");
  if (error != nullptr && error->is_object()) {
    const auto member = [&](const char* name) {
      const json::value* found = error->get_object().if_contains(name);
      return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                    : std::string();
    };
    text = member("code");
    reply.message = member("message");
  }
  const auto status = static_cast<int>(message.result_int());
  reply.code = CodeOf(text, status);
  if (reply.message.empty()) reply.message = "HTTP status " + std::to_string(status);
}

std::string Base64(const std::string& bytes) {
  namespace it = boost::archive::iterators;
  using Digits = it::base64_from_binary<it::transform_width<std::string::const_iterator, 6, 8>>;
  std::string out(Digits(bytes.begin()), Digits(bytes.end()));
  out.append((3 - bytes.size() % 3) % 3, '=');
  return out;
}

class HttpWire : public Wire {
 public:
  HttpWire(const std::string& host, const Login& login) : host_("Host: " + host + "\r\n") {
    if (login.user.empty()) return;
    host_ += "Authorization: Basic " + Base64(login.user + ':' + login.password) + "\r\n";
  }

  void Encode(const Request& request, std::chrono::milliseconds time,
              std::string& out) const override {
    if (request.op == Request::Op::kFetch) {
      out += "GET " + request.path + " HTTP/1.1\r\n" + host_ + "\r\n";
      return;
    }
    constexpr std::string_view kMethods[] = {"GET", "PUT", "DELETE"};
    out += kMethods[static_cast<size_t>(request.op)];
    out += " /buckets/";
    AppendEncoded(out, request.bucket);
    out += "/kv/";
    AppendEncoded(out, request.key);
    out += "?timeout_ms=";
    out += std::to_string(time.count());
    out += " HTTP/1.1\r\n";
    out += host_;
    AppendHeader(out, "Consistency: ", NameOf(request.level));
    AppendHeader(out, "X-Context: ", request.context);
    if (!request.IsRead()) AppendWrite(request, out);
    out += "\r\n";
    if (request.op == Request::Op::kPut) out += request.value;
  }

  Decoded Decode(std::string_view in) override {
    if (!parser_) {
      parser_.emplace();
      parser_->eager(true);
      parser_->body_limit(kBodyBytesMax);
      parser_->header_limit(kHeadBytesMax);
    }
    Decoded out;
    error_code error;
    out.used = parser_->put(boost::asio::buffer(in.data(), in.size()), error);
    if (error && error != http::error::need_more) {
      out.state = State::kBroken;
      return out;
    }
    if (!parser_->is_done()) return out;
    Message message = parser_->release();
    parser_.reset();
    out.state = State::kBroken;
    if (!ReadMessage(message, out.reply)) return out;
    out.state = message.keep_alive() ? State::kReply : State::kLast;
    return out;
  }

 private:
  static void AppendWrite(const Request& request, std::string& out) {
    AppendHeader(out, "Content-Type: ", request.content_type);
    AppendHeader(out, "Idempotency-Key: ", request.id);
    if (!request.if_match.empty()) AppendHeader(out, "If-Match: ", '"' + request.if_match + '"');
    if (request.if_absent) AppendHeader(out, "If-None-Match: ", "*");
    if (request.ttl) AppendHeader(out, "X-TTL: ", std::to_string(*request.ttl));
    if (request.op == Request::Op::kPut) {
      AppendHeader(out, "Content-Length: ", std::to_string(request.value.size()));
    }
  }

  static bool ReadMessage(Message& message, Reply& reply) {
    const unsigned status = message.result_int();
    const Head head = HeadOf(message);
    reply.context = std::string(head.context);
    reply.version = std::string(head.version);
    reply.expires_ms = NumberOf(head.expires);
    if (status == 300) {
      return ReadParts(head.content_type, message.body(), reply.values) && !reply.values.empty();
    }
    if (status < 200 || status > 300) {
      ReadError(message, reply);
      reply.retry_in = std::chrono::seconds(NumberOf(head.retry_after));
      return true;
    }
    std::string body = std::move(message.body());
    reply.values.push_back(SiblingOf(head, std::move(body)));
    return true;
  }

  std::string host_;  // and who asks: the headers of all requests
  std::optional<Parser> parser_;
};

}  // namespace

std::unique_ptr<Wire> MakeHttpWire(const std::string& host, const Login& login) {
  return std::make_unique<HttpWire>(host, login);
}

}  // namespace lariat::client
