// SPDX-License-Identifier: Apache-2.0
// A node with an HTTP frontend and its clients, without a network. For tests and fuzzing.
#pragma once

#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/http/test_fakes.h"

namespace lariat::frontend::http::testing {

using connection::testing::FakeClient;

struct FakeNode {
  FakeNode() : env(world.env()) {}
  // After the settings are as wanted.
  HttpFrontend& Frontend() {
    if (!frontend) frontend = std::make_unique<HttpFrontend>(kv, admin, settings, metrics, env);
    return *frontend;
  }

  FakeWorld world;
  env::Env env;
  FakeKv kv;
  FakeAdmin admin;
  config::Settings settings;
  telemetry::Metrics metrics;
  std::unique_ptr<HttpFrontend> frontend;
};

struct ParsedReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// Reads replies from the front of `bytes`. `head_only` says for each whether it answers a HEAD.
// Nothing if the bytes are no sequence of well-formed replies.
inline std::optional<std::vector<ParsedReply>> ParseReplies(std::string_view bytes,
                                                            bool head_only = false) {
  std::vector<ParsedReply> replies;
  while (!bytes.empty()) {
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos || !bytes.starts_with("HTTP/1.1 ")) return std::nullopt;
    ParsedReply reply;
    std::from_chars(bytes.data() + 9, bytes.data() + 12, reply.status);
    std::string_view head = bytes.substr(0, end + 2);
    bytes.remove_prefix(end + 4);
    head.remove_prefix(head.find("\r\n") + 2);
    while (!head.empty()) {
      const size_t eol = head.find("\r\n");
      const size_t colon = head.find(": ");
      if (colon == std::string_view::npos || colon > eol) return std::nullopt;
      std::string name(head.substr(0, colon));
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      if (!reply.headers.emplace(name, head.substr(colon + 2, eol - colon - 2)).second) {
        return std::nullopt;
      }
      head.remove_prefix(eol + 2);
    }
    const bool no_body = reply.status == 204 || reply.status == 304 || reply.status == 100;
    if (no_body == (reply.headers.count("content-length") > 0)) return std::nullopt;
    const size_t length =
        no_body || head_only ? 0 : std::stoull(reply.headers.at("content-length"));
    if (length > bytes.size()) return std::nullopt;
    reply.body = bytes.substr(0, length);
    bytes.remove_prefix(length);
    replies.push_back(std::move(reply));
  }
  return replies;
}

// Start line, Host and the lines given; then the body with its length, if there is one.
inline std::string MakeRequest(std::string_view start, std::string_view headers = "",
                               std::string_view body = "", bool with_length = false) {
  std::string text(start);
  text += " HTTP/1.1\r\nHost: test\r\n";
  text += headers;
  if (with_length || !body.empty()) {
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  text += "\r\n";
  text += body;
  return text;
}

// One request on a connection of its own.
inline ParsedReply Ask(FakeNode& node, std::string_view start, std::string_view headers = "",
                       std::string_view body = "") {
  FakeClient client(node.Frontend());
  client.Send(MakeRequest(start, headers, body, start.starts_with("PUT")));
  const auto replies = ParseReplies(client.stream.out, start.starts_with("HEAD"));
  if (!replies || replies->size() != 1) return {};
  return replies->front();
}

}  // namespace lariat::frontend::http::testing
