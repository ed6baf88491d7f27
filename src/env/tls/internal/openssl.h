// SPDX-License-Identifier: Apache-2.0
// OpenSSL's objects with owners, and its errors as text.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/tls/names.h"

namespace lariat::env::tls {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Cert = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Crl = std::unique_ptr<X509_CRL, Freed<X509_CRL_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using MemoryBio = std::unique_ptr<BIO, Freed<BIO_free>>;
using SslContext = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freed<SSL_free>>;

inline MemoryBio ReadFrom(std::string_view text) {
  return MemoryBio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// All certificates of a PEM text; empty if there is none, or one that cannot be read.
std::vector<Cert> ReadCertificates(std::string_view pem);
// All lists of revoked certificates.
std::vector<Crl> ReadRevocations(std::string_view pem);
// Null if there is none; one with a password is none.
Key ReadKey(std::string_view pem);
// The common name of the subject.
std::string CommonName(const X509* certificate);
// Those of names.h in the subjectAltName.
std::vector<Name> NamesIn(const X509* certificate);
// Seconds since 1970.
int64_t NotBefore(const X509* certificate);
int64_t NotAfter(const X509* certificate);
// What OpenSSL said last on this thread; its queue is empty then.
std::string LastErrorText();

}  // namespace lariat::env::tls
