// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/json_line.h"

#include <fmt/format.h>

#include <boost/json/parser.hpp>

namespace lariat::cli::transfer {

namespace {

namespace json = boost::json;

base::Status BadJson(std::string why) {
  return base::Fail(base::Code::kInvalidArgument, std::move(why));
}

// Walks the object's own punctuation; what each value is, and where it ends, the parser knows.
class Walker {
 public:
  explicit Walker(std::string_view line) : line_(line) { SkipBlanks(); }

  base::Status Walk(std::vector<JsonMember>* members) {
    if (!Take('{')) return BadJson(Peek('[') ? kArray : "not a JSON object");
    if (!Take('}')) {
      do {
        JsonMember name;
        if (auto status = TakeValue(&name); !status) return status;
        if (!name.is_string()) return BadJson("not JSON: a member's name is no string");
        if (!Take(':')) return BadJson(fmt::format("not JSON: no ':' behind \"{}\"", name.text));
        members->push_back({std::move(name.text), {}, {}});
        if (auto status = TakeValue(&members->back()); !status) return status;
      } while (Take(','));
      if (!Take('}')) return BadJson("not JSON: an object is not closed");
    }
    return at_ == line_.size() ? base::Status{} : BadJson("not JSON: something follows the object");
  }

 private:
  static constexpr const char* kArray =
      "not a JSON object but an array; 'jq -c .[]' makes one object a line of it";

  bool Peek(char c) const { return at_ < line_.size() && line_[at_] == c; }
  void SkipBlanks() { at_ = std::min(line_.find_first_not_of(" \t\r\n", at_), line_.size()); }
  bool Take(char c) {
    if (!Peek(c)) return false;
    ++at_;
    SkipBlanks();
    return true;
  }

  base::Status TakeValue(JsonMember* member) {
    json::error_code problem;
    parser_.reset();
    const std::string_view rest = line_.substr(at_);
    const size_t used = parser_.write_some(rest.data(), rest.size(), problem);
    if (problem) return BadJson("not JSON: " + problem.message());
    // The parser takes the blanks behind a value too.
    member->source = rest.substr(0, rest.substr(0, used).find_last_not_of(" \t\r\n") + 1);
    if (member->is_string()) member->text = std::string(parser_.release().as_string());
    at_ += used;
    SkipBlanks();
    return {};
  }

  std::string_view line_;
  size_t at_ = 0;
  json::parser parser_;
};

}  // namespace

base::Result<std::vector<JsonMember>> ParseJsonLine(std::string_view line) {
  std::vector<JsonMember> members;
  if (auto status = Walker(line).Walk(&members); !status) return base::Fail(status.error());
  return members;
}

base::Result<const JsonMember*> FindMember(const std::vector<JsonMember>& members,
                                           std::string_view name) {
  const JsonMember* found = nullptr;
  for (const JsonMember& member : members) {
    if (member.name != name) continue;
    if (found != nullptr) {
      return base::Fail(base::Code::kInvalidArgument, fmt::format("'{}' is given twice", name));
    }
    found = &member;
  }
  return found;
}

}  // namespace lariat::cli::transfer
