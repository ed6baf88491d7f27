// SPDX-License-Identifier: Apache-2.0
// A directory with the certificates of a cluster: DIR/ca.crt and DIR/ca.key are its authority,
// DIR/NAME.crt and DIR/NAME.key a node or a user. Keys have mode 0600.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lariat::cli::certs {

struct CertOptions {
  std::string dir;
  int64_t days = 0;    // how long it is good
  bool force = false;  // overwrite
};

struct Made {
  std::string certificate, key;  // paths
};

// kConflict: there is one already, and it is not to be overwritten. `cluster`: the label; empty
// draws one.
base::Result<Made> MakeAuthority(const CertOptions& options, const std::string& cluster);
// kNotFound: the directory has no authority. Without hosts it is good for this machine alone.
base::Result<Made> MakeNode(const CertOptions& options, const std::string& node,
                            std::vector<std::string> hosts);
base::Result<Made> MakeUser(const CertOptions& options, const std::string& user);

// A file that nobody else can read, in the place of one that is there.
base::Status WriteSecret(const std::string& path, std::string_view text);
// What nodes have to be given again: ca.crt, which lists the certificate of this name as revoked.
base::Result<std::string> RevokeOne(const CertOptions& options, const std::string& name);

}  // namespace lariat::cli::certs
