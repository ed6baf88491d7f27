// SPDX-License-Identifier: Apache-2.0
// Books of users and tokens: what parses has one encoding, and a token that was not signed is none.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "base/check.h"
#include "security/book.h"
#include "security/secret.h"
#include "security/token.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace security = lariat::security;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string key(32, 'k');
  if (const auto book = security::DecodeBook(bytes)) {
    LARIAT_CHECK(security::EncodeBook(*book) == bytes, "a book has one encoding");
  }
  LARIAT_CHECK(!security::ReadToken(bytes, key), "nobody guesses a signature");
  // The same content with the right signature, which a fuzzer does not find.
  const std::string prefix = "lariat1.";
  std::string content(bytes.substr(0, 256));
  const std::string mac = security::Mac(key, prefix + content);
  const auto token = security::ReadToken(prefix + lariat::base::Base64Encode(content + mac), key);
  if (token) {
    LARIAT_CHECK(security::ReadToken(security::WriteToken(*token, key), key)->user == token->user,
                 "a token comes back");
  }
  return 0;
}
