// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/openapi/openapi.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "frontend/http/openapi/paths.h"
#include "frontend/http/openapi/schemas.h"

namespace lariat::frontend::http {
namespace {

namespace json = boost::json;

// For people too: what has room for it stands on one line.
class Printer {
 public:
  std::string Print(const json::value& value) && {
    Add(value, 0);
    return std::move(text_) + '\n';
  }

 private:
  static constexpr size_t kLineMax = 100;

  void Add(const json::value& value, size_t lead) {
    std::string line = json::serialize(value);
    if (!value.is_structured() || depth_ + lead + line.size() < kLineMax) {
      text_ += line;
    } else if (value.is_array()) {
      Open('[');
      for (const json::value& item : value.as_array()) Next(), Add(item, 0);
      Close(']');
    } else {
      Open('{');
      for (const auto& member : value.as_object()) {
        Next();
        const std::string key = json::serialize(json::value(member.key())) + ": ";
        text_ += key;
        Add(member.value(), key.size());
      }
      Close('}');
    }
  }
  void Open(char bracket) {
    text_ += bracket;
    ++depth_;
  }
  void Next() {
    if (text_.back() != '{' && text_.back() != '[') text_ += ',';
    text_ += '\n' + std::string(depth_, ' ');
  }
  void Close(char bracket) { text_ += '\n' + std::string(--depth_, ' ') + bracket; }

  std::string text_;
  size_t depth_ = 0;
};

}  // namespace

std::string OpenApiJson() {
  const std::string_view parts = OpenApiParts();
  json::object document = json::parse({parts.data(), parts.size()}).as_object();
  json::object components = std::move(document["components"].as_object());
  document.erase("components");
  AddReplies(components["schemas"].as_object());
  AddBuckets(components["schemas"].as_object());
  document["paths"] = Paths(components);
  document["components"] = std::move(components);
  return Printer().Print(document);
}

}  // namespace lariat::frontend::http
