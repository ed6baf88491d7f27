// SPDX-License-Identifier: Apache-2.0
#include "security/password.h"

#include <argon2.h>

#include <array>

namespace lariat::security {

using base::Code;
using base::Fail;

namespace {

constexpr uint32_t kPasses = 2;
constexpr uint32_t kMemoryKib = 19 * 1024;
constexpr uint32_t kLanes = 1;
constexpr size_t kHashBytes = 32;

}  // namespace

base::Status CheckPassword(std::string_view password) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax) {
    return Fail(Code::kInvalidArgument, "a password has 8 to 512 bytes");
  }
  return {};
}

base::Result<std::string> HashPassword(std::string_view password, std::string_view salt) {
  std::array<char, 256> text{};
  const int error =
      argon2id_hash_encoded(kPasses, kMemoryKib, kLanes, password.data(), password.size(),
                            salt.data(), salt.size(), kHashBytes, text.data(), text.size());
  if (error != ARGON2_OK) {
    return Fail(Code::kOverloaded,
                std::string("the password was not hashed: ") + argon2_error_message(error));
  }
  return std::string(text.data());
}

bool IsPassword(std::string_view hash, std::string_view password) {
  return argon2id_verify(std::string(hash).c_str(), password.data(), password.size()) == ARGON2_OK;
}

const std::string& NobodysHash() {
  static const std::string kHash =
      "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4u$" + std::string(43, 'A');
  return kHash;
}

}  // namespace lariat::security
