// SPDX-License-Identifier: Apache-2.0
// Whom a certificate names. A certificate of this project carries one URI (subjectAltName):
//
//   lariat:cluster/CLUSTER             an authority
//   lariat:cluster/CLUSTER/node/NAME   a node; NAME is its node.name
//   lariat:cluster/CLUSTER/user/NAME   a client
//
// CLUSTER is a label that the operator chooses when he makes the authority, before there is a
// cluster with an id: it tells clusters apart whose certificates come from one authority. Bytes
// other than letters, digits, '.', '_' and '-' are written %XX. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lariat::env::tls {

struct Name {
  enum class Kind : uint8_t { kAuthority, kNode, kUser };
  Kind kind = Kind::kAuthority;
  std::string cluster;
  std::string name;  // empty for an authority
  bool operator==(const Name&) const = default;
};

std::string ToUri(const Name& name);
// Nothing for what ToUri does not write.
std::optional<Name> ParseUri(std::string_view uri);

}  // namespace lariat::env::tls
