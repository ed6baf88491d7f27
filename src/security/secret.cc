// SPDX-License-Identifier: Apache-2.0
#include "security/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"

namespace lariat::security {

std::string Mac(std::string_view key, std::string_view bytes) {
  std::string mac(kMacBytes, '\0');
  unsigned int size = 0;
  const auto* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                          reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                          reinterpret_cast<unsigned char*>(mac.data()), &size);
  LARIAT_CHECK(made != nullptr && size == kMacBytes, "HMAC-SHA-256 has 32 bytes");
  return mac;
}

bool IsSameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void Forget(std::string* secret) {
  OPENSSL_cleanse(secret->data(), secret->size());
  secret->clear();
}

}  // namespace lariat::security
