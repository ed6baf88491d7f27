// SPDX-License-Identifier: Apache-2.0
// Makes certificates with the names of names.h: for `lariat cert`, and for tests. Keys are P-256,
// signatures ECDSA with SHA-256. Everything is text (PEM); nothing is written anywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "env/tls/names.h"

namespace lariat::env::tls {

struct Issued {
  std::string certificate;
  std::string key;  // a secret
};

struct Validity {
  int64_t from_s = 0;  // seconds since 1970
  int64_t until_s = 0;
};

// An authority for the cluster with this label.
base::Result<Issued> IssueAuthority(const std::string& cluster, Validity validity);
// Reads one that was made so. kInvalidArgument: it is none.
base::Result<Name> ReadAuthority(const Issued& authority);

// `hosts`: names and numeric addresses at which clients reach the node. A certificate never
// outlives its authority.
base::Result<Issued> IssueNode(const Issued& authority, const std::string& node,
                               const std::vector<std::string>& hosts, Validity validity);
base::Result<Issued> IssueUser(const Issued& authority, const std::string& user, Validity validity);

// A certificate of the authority is good no more. Result: the authority's certificate and, behind
// it, the list of all that were revoked, for security.ca_file. `authority.certificate` may have a
// list from before.
base::Result<std::string> Revoke(const Issued& authority, const std::string& certificate,
                                 Validity validity);

}  // namespace lariat::env::tls
