// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/internal/negotiation.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/hash.h"
#include "causal/context.h"
#include "frontend/http/internal/reply.h"
#include "frontend/http/internal/request.h"

namespace lariat::frontend::http {
namespace {

// Not in the alphabet of contexts.
constexpr char kAfterContext = '.';
constexpr size_t kAroundContext = 24;  // bytes of a tag, if it is no JSON's

// Removes up to and including the next separator (or all) and returns what was before it.
std::string_view TakeUntil(std::string_view* rest, char separator) {
  const std::string_view part = rest->substr(0, rest->find(separator));
  rest->remove_prefix(std::min(part.size() + 1, rest->size()));
  return TrimBlanks(part);
}

// 0 to 1000: "1", "0.5", "0.333". What is malformed counts as not given.
int QualityFrom(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 1000;
  if (text.size() > 1 && text[1] != '.') return 1000;
  int value = text[0] - '0';
  for (size_t i = 2; i < 5; ++i) {
    const char digit = i < text.size() ? text[i] : '0';
    if (digit < '0' || digit > '9') return 1000;
    value = value * 10 + (digit - '0');
  }
  return std::min(value, 1000);
}

int SpecificityOf(std::string_view range, std::string_view type) {
  if (EqualsIgnoringCase(range, type)) return 3;
  if (range == "*/*") return 1;
  const size_t slash = std::min(type.find('/'), type.size());
  const bool all_of_kind = range.ends_with("/*") && range.size() == slash + 2;
  return all_of_kind && EqualsIgnoringCase(range.substr(0, slash), type.substr(0, slash)) ? 2 : 0;
}

// `*rest` starts at a tag, which is taken off; what is none takes all.
std::string_view TakeTag(std::string_view* rest) {
  const size_t quote = rest->starts_with("W/") ? 2 : 0;
  const size_t end = rest->size() > quote && (*rest)[quote] == '"' ? rest->find('"', quote + 1)
                                                                   : std::string_view::npos;
  const std::string_view tag =
      end == std::string_view::npos ? std::string_view() : rest->substr(quote, end + 1 - quote);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return tag;
}

std::string_view WithoutWeakness(std::string_view tag) {
  return tag.starts_with("W/") ? tag.substr(2) : tag;
}

// Of all that is shown: siblings may expire one by one, under one context.
void AppendFingerprint(std::string* tag, const coordinator::GetReply& reply) {
  uint64_t hash = reply.values.size();
  for (const coordinator::ShownValue& value : reply.values) {
    if (reply.values.size() > 1) hash = base::Hash64(VersionText(value.version), hash);
    hash = base::Hash64(value.content_type, hash);
    hash = base::Hash64(value.bytes, hash);
  }
  std::array<char, 16> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), hash, 16).ptr;
  tag->append(text.data(), end);
}

}  // namespace

Liking LikingOf(std::string_view accept, std::string_view type) {
  type = TrimBlanks(type.substr(0, type.find(';')));
  Liking liking;
  while (!accept.empty()) {
    std::string_view item = TakeUntil(&accept, ',');
    const int specificity = SpecificityOf(TakeUntil(&item, ';'), type);
    if (specificity == 0 || specificity < liking.specificity) continue;
    int quality = 1000;
    while (!item.empty()) {
      const std::string_view parameter = TakeUntil(&item, ';');
      if (parameter.starts_with("q=") || parameter.starts_with("Q=")) {
        quality = QualityFrom(parameter.substr(2));
      }
    }
    if (specificity == liking.specificity) quality = std::max(quality, liking.quality);
    liking = {quality, specificity};
  }
  return liking;
}

bool NamesJson(std::string_view accept) {
  const Liking json = LikingOf(accept, kJsonType);
  return json.specificity == 3 && json.quality > 0;
}

Form ChooseForm(std::string_view accept, std::string_view raw_type) {
  if (accept.empty()) return Form::kRaw;
  const Liking json = LikingOf(accept, kJsonType);
  const Liking raw = LikingOf(accept, raw_type);
  if (NamesJson(accept) && json.quality >= raw.quality) return Form::kJson;
  if (raw.quality > 0) return Form::kRaw;
  if (json.quality > 0) return Form::kJson;
  return raw.quality == 0 ? Form::kNone : Form::kRaw;
}

std::string EntityTag(const coordinator::GetReply& reply, Form form) {
  const bool json = form == Form::kJson;
  const bool several = reply.values.size() > 1;
  std::string tag;
  tag.reserve(reply.context.size() + kAroundContext);
  tag += '"';
  tag += reply.context;
  if (json) {
    tag += kAfterContext;
    tag += "json";
  }
  if (several || causal::NamesStamp(reply.context)) {
    tag += kAfterContext;
    AppendFingerprint(&tag, reply);
  }
  tag += '"';
  return tag;
}

std::string_view ContextOfTag(std::string_view tag) {
  std::string_view rest = tag;
  const std::string_view quoted = TakeTag(&rest);
  if (quoted.size() < 3 || !rest.empty() || !tag.starts_with('"')) return {};
  const std::string_view inside = quoted.substr(1, quoted.size() - 2);
  return inside.substr(0, inside.find(kAfterContext));
}

bool MatchesTag(std::string_view field, std::string_view tag) {
  if (TrimBlanks(field) == "*") return true;
  while (!field.empty()) {
    const char c = field.front();
    if (c == ' ' || c == '\t' || c == ',') {
      field.remove_prefix(1);
    } else if (TakeTag(&field) == WithoutWeakness(tag)) {
      return true;
    }
  }
  return false;
}

}  // namespace lariat::frontend::http
