// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/reply.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "frontend/http/internal/json_writer.h"

namespace lariat::frontend::http {
namespace {

// Up to here copying a body is cheaper than a second write.
constexpr size_t kCopiedBodyMax = 8192;
constexpr size_t kUsualHeadBytes = 512;

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 300:
      return "Multiple Choices";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

void AppendNumber(std::string& out, int64_t value) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

void AppendTwoDigits(std::string& out, int64_t value) {
  out += static_cast<char>('0' + value / 10 % 10);
  out += static_cast<char>('0' + value % 10);
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// The wall clock's second changes rarely compared to replies.
const std::string& DateLine(Shared& shared) {
  const base::WallTime now = shared.env.clock.Wall();
  if (now.ms / 1000 != shared.date_second) {
    shared.date_second = now.ms / 1000;
    shared.date_line = "Date: " + ImfFixdate(now) + "\r\n";
  }
  return shared.date_line;
}

}  // namespace

std::string ImfFixdate(base::WallTime time) {
  namespace chrono = std::chrono;
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  // Four digits is all that the format has.
  constexpr int64_t kYear9999Ms = 253402300799000;
  const chrono::sys_time<chrono::milliseconds> at{
      chrono::milliseconds(std::clamp<int64_t>(time.ms, 0, kYear9999Ms))};
  const auto day = chrono::floor<chrono::days>(at);
  const chrono::year_month_day date{day};
  const chrono::hh_mm_ss clock{chrono::floor<chrono::seconds>(at - day)};
  std::string out;
  out.reserve(29);
  out += kDays.substr(chrono::weekday(day).c_encoding() * 3, 3);
  out += ", ";
  AppendTwoDigits(out, static_cast<unsigned>(date.day()));
  out += ' ';
  out += kMonths.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3);
  out += ' ';
  AppendTwoDigits(out, static_cast<int>(date.year()) / 100);
  AppendTwoDigits(out, static_cast<int>(date.year()) % 100);
  out += ' ';
  AppendTwoDigits(out, clock.hours().count());
  out += ':';
  AppendTwoDigits(out, clock.minutes().count());
  out += ':';
  AppendTwoDigits(out, clock.seconds().count());
  out += " GMT";
  return out;
}

std::string VersionText(const coordinator::Version& version) {
  if (coordinator::IsSerialVersion(version)) return std::to_string(version.begin()->second);
  std::string out = "[";
  for (const auto& [node, events] : version) {
    out += out.size() == 1 ? "(" : ",(";
    out += node;
    out += ',';
    AppendNumber(out, static_cast<int64_t>(events));
    out += ')';
  }
  out += ']';
  return out;
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void AppendForeignField(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  const size_t start = out.size();
  out += value;
  std::replace_if(out.begin() + static_cast<ptrdiff_t>(start), out.end(), IsControl, '?');
  out += "\r\n";
}

ReplyBuilder::ReplyBuilder(Shared& shared, const ReplyForm& form, int status) : form_(form) {
  std::string& head = reply_.head;
  head.reserve(kUsualHeadBytes);
  head += "HTTP/1.1 ";
  AppendNumber(head, status);
  head += ' ';
  head += ReasonPhrase(status);
  head += "\r\n";
  head += DateLine(shared);
}

ReplyBuilder& ReplyBuilder::Add(std::string_view name, std::string_view value) {
  AppendField(reply_.head, name, value);
  return *this;
}

ReplyBuilder& ReplyBuilder::AddNumber(std::string_view name, int64_t value) {
  reply_.head += name;
  reply_.head += ": ";
  AppendNumber(reply_.head, value);
  reply_.head += "\r\n";
  return *this;
}

ReplyBuilder& ReplyBuilder::AddDate(std::string_view name, base::WallTime time) {
  return Add(name, ImfFixdate(time));
}

ReplyBuilder& ReplyBuilder::AddVersion(const coordinator::Version& version) {
  AppendForeignField(reply_.head, "X-Version", VersionText(version));  // nodes choose their names
  return *this;
}

ReplyBuilder& ReplyBuilder::AddReplicas(const coordinator::Participation& replicas) {
  reply_.head += "X-Replicas: primaries=";
  AppendNumber(reply_.head, replicas.primaries);
  reply_.head += " fallbacks=";
  AppendNumber(reply_.head, replicas.fallbacks);
  reply_.head += "\r\n";
  return *this;
}

ReplyBuilder& ReplyBuilder::AddContext(std::string_view context) {
  return context.empty() ? *this : Add("X-Context", context);
}

void ReplyBuilder::EndHead(std::string_view content_type, size_t body_size) {
  if (!content_type.empty()) {
    AppendForeignField(reply_.head, "Content-Type", content_type);
    AddNumber("Content-Length", static_cast<int64_t>(body_size));
  }
  if (form_.varies) reply_.head += "Vary: Accept\r\n";
  reply_.last = form_.close;
  if (form_.close) {
    reply_.head += "Connection: close\r\n";
  } else if (!form_.http11) {
    reply_.head += "Connection: keep-alive\r\n";
  }
  reply_.head += "\r\n";
}

Reply ReplyBuilder::Copy(std::string_view content_type, std::string_view body) {
  EndHead(content_type, body.size());
  if (!form_.head_only) reply_.head += body;
  return std::move(reply_);
}

Reply ReplyBuilder::Move(std::string_view content_type, std::string body) {
  if (body.size() <= kCopiedBodyMax) return Copy(content_type, body);
  EndHead(content_type, body.size());
  if (!form_.head_only) reply_.body = std::move(body);
  return std::move(reply_);
}

Reply ReplyBuilder::NoContent() {
  EndHead({}, 0);
  return std::move(reply_);
}

Reply JsonReply(Shared& shared, const ReplyForm& form, int status, std::string_view body) {
  return ReplyBuilder(shared, form, status).Copy(kJsonType, body);
}

void WriteError(JsonWriter& json, const Refusal& refusal) {
  json.Key("error").BeginObject();
  json.Key("code").Text(refusal.code).Key("message").Text(refusal.message);
  if (refusal.needed > 0) json.Key("needed").Uint(refusal.needed).Key("alive").Uint(refusal.alive);
  if (refusal.winner) {
    json.Key("version").Uint(refusal.winner->version).Key("value");
    refusal.winner->value ? json.Base64(*refusal.winner->value) : json.Null();
  }
  json.EndObject();
}

Reply RefusalReply(Shared& shared, const ReplyForm& form, const Refusal& refusal,
                   std::string_view context) {
  std::string body;
  JsonWriter json(&body);
  json.BeginObject();
  WriteError(json, refusal);
  if (!context.empty()) json.Key("context").Text(context);
  json.EndObject();
  ReplyBuilder reply(shared, form, refusal.status);
  if (refusal.version) reply.Add("X-Version", std::to_string(*refusal.version));
  if (!refusal.allow.empty()) reply.Add("Allow", refusal.allow);
  if (refusal.retry_after) reply.Add("Retry-After", "1");
  if (refusal.status == 401) {
    reply.Add("WWW-Authenticate", R"(Basic realm="lariat", charset="UTF-8", Bearer)");
  }
  return reply.AddContext(context).Copy(kJsonType, body);
}

}  // namespace lariat::frontend::http
