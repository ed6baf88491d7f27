// SPDX-License-Identifier: Apache-2.0
#include "client/secure.h"

#include <boost/asio/ssl/verify_mode.hpp>

namespace lariat::client {

namespace ssl = boost::asio::ssl;

std::string LoadSecure(const TlsOptions& options, Secure* secure) {
  if (options.cert_file.empty() != options.key_file.empty()) {
    return "tls: cert_file and key_file belong together";
  }
  if (options.ca_file.empty()) {
    return options.cert_file.empty() ? ""
                                     : "tls: a certificate is shown with TLS only: set ca_file";
  }
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  context->set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  context->set_verify_mode(ssl::verify_peer);
  boost::system::error_code e;
  const auto bad = [&e](const std::string& file) { return "tls: " + file + ": " + e.message(); };
  if (context->load_verify_file(options.ca_file, e); e) return bad(options.ca_file);
  if (!options.cert_file.empty()) {
    if (context->use_certificate_chain_file(options.cert_file, e); e) return bad(options.cert_file);
    if (context->use_private_key_file(options.key_file, ssl::context::pem, e); e) {
      return bad(options.key_file);
    }
  }
  *secure = std::move(context);
  return "";
}

}  // namespace lariat::client
