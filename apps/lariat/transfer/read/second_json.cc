// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/read/second_json.h"

#include <charconv>

#include "apps/lariat/terminal/text.h"

namespace lariat::cli::transfer {

namespace {

constexpr int kDepthMax = 32;

void AppendUtf8(uint32_t code, std::string* out) {
  auto add = [out](uint32_t byte) { *out += static_cast<char>(byte); };
  if (code < 0x80) return add(code);
  if (code < 0x800) {
    add(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    add(0xE0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3F));
  } else {
    add(0xF0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3F));
    add(0x80 | (code >> 6 & 0x3F));
  }
  add(0x80 | (code & 0x3F));
}

class Descent {
 public:
  explicit Descent(std::string_view text) : text_(text) {}

  bool Value(SecondJson* out, int depth) {
    Blanks();
    const size_t start = at_;
    if (!Inner(out, depth)) return false;
    out->source = std::string(text_.substr(start, at_ - start));
    Blanks();
    return true;
  }
  bool AtEnd() const { return at_ == text_.size(); }

 private:
  char Now() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Skip(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void Blanks() {
    while (Now() == ' ' || Now() == '\t' || Now() == '\r' || Now() == '\n') ++at_;
  }
  bool Digits() {
    const size_t start = at_;
    while (Now() >= '0' && Now() <= '9') ++at_;
    return at_ > start;
  }

  bool Inner(SecondJson* out, int depth) {
    out->kind = Now();
    switch (Now()) {
      case '{':
      case '[':
        return depth <= kDepthMax && List(out, depth);
      case '"':
        return String(&out->text);
      case 't':
        return Skip("true");
      case 'f':
        return Skip("false");
      case 'n':
        return Skip("null");
      default:
        out->kind = '0';
        return Number();
    }
  }

  bool List(SecondJson* out, int depth) {
    const bool object = out->kind == '{';
    const std::string_view close = object ? "}" : "]";
    ++at_;
    Blanks();
    if (Skip(close)) return true;
    do {
      SecondJson name;
      SecondJson value;
      if (object && (!Value(&name, depth + 1) || name.kind != '"' || !Skip(":"))) return false;
      if (!Value(&value, depth + 1)) return false;
      if (!object) continue;
      const auto [member, fresh] = out->members.emplace(name.text, std::move(value));
      if (!fresh) member->second.kind = '2';
    } while (Skip(","));
    return Skip(close);
  }

  bool Number() {
    Skip("-");
    if (!Skip("0") && !Digits()) return false;
    if (Skip(".") && !Digits()) return false;
    if (!Skip("e") && !Skip("E")) return true;
    if (!Skip("+")) Skip("-");
    return Digits();
  }

  bool Unit(uint32_t* code) {
    const std::string_view digits = text_.substr(at_, 4);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *code, 16);
    at_ += 4;
    return error == std::errc() && digits.size() == 4 && end == digits.data() + 4;
  }

  bool Escape(std::string* out) {
    static const std::map<char, char> kShort = {{'"', '"'},  {'\\', '\\'}, {'/', '/'},
                                                {'b', '\b'}, {'f', '\f'},  {'n', '\n'},
                                                {'r', '\r'}, {'t', '\t'}};
    const char c = Now();
    ++at_;
    if (const auto known = kShort.find(c); known != kShort.end()) {
      *out += known->second;
      return true;
    }
    uint32_t code = 0;
    if (c != 'u' || !Unit(&code) || (code >= 0xDC00 && code < 0xE000)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      uint32_t low = 0;
      if (!Skip("\\u") || !Unit(&low) || low < 0xDC00 || low >= 0xE000) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    AppendUtf8(code, out);
    return true;
  }

  bool String(std::string* out) {
    ++at_;
    while (!AtEnd() && Now() != '"') {
      if (static_cast<unsigned char>(Now()) < 0x20) return false;
      if (Skip("\\")) {
        if (!Escape(out)) return false;
        continue;
      }
      *out += Now();
      ++at_;
    }
    return Skip("\"");
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<SecondJson> ReadSecondJson(std::string_view text) {
  SecondJson out;
  Descent descent(text);
  if (!IsUtf8(text) || !descent.Value(&out, 0) || !descent.AtEnd()) return std::nullopt;
  return out;
}

}  // namespace lariat::cli::transfer
