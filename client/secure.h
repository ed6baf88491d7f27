// SPDX-License-Identifier: Apache-2.0
// What the connections of a client with TLS believe and show.
#pragma once

#include <lariat/types.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

namespace lariat::client {

// Shared by all connections of a client; null: no TLS.
using Secure = std::shared_ptr<boost::asio::ssl::context>;

// Reads the files into `secure`. Result: what is wrong with them; empty if nothing is.
std::string LoadSecure(const TlsOptions& options, Secure* secure);

}  // namespace lariat::client
