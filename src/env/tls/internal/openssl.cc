// SPDX-License-Identifier: Apache-2.0
#include "env/tls/internal/openssl.h"

#include <ctime>

namespace lariat::env::tls {

namespace {

int64_t SecondsOf(const ASN1_TIME* time) {
  std::tm parts = {};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<int64_t>(timegm(&parts)) : 0;
}

int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

std::vector<Cert> ReadCertificates(std::string_view pem) {
  std::vector<Cert> found;
  const MemoryBio bio = ReadFrom(pem);
  while (Cert next{PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr)}) {
    found.push_back(std::move(next));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) found.clear();
  return found;
}

std::vector<Crl> ReadRevocations(std::string_view pem) {
  std::vector<Crl> found;
  const MemoryBio bio = ReadFrom(pem);
  while (Crl next{PEM_read_bio_X509_CRL(bio.get(), nullptr, NoPassword, nullptr)}) {
    found.push_back(std::move(next));
  }
  ERR_clear_error();
  return found;
}

Key ReadKey(std::string_view pem) {
  const MemoryBio bio = ReadFrom(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  return key;
}

std::string CommonName(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return "";
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return name.find('\0') == std::string::npos ? name : "";
}

std::vector<Name> NamesIn(const X509* certificate) {
  std::vector<Name> names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* each = sk_GENERAL_NAME_value(all, i);
    if (each->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = each->d.uniformResourceIdentifier;
    auto name = ParseUri({reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                          static_cast<size_t>(ASN1_STRING_length(uri))});
    if (name) names.push_back(std::move(*name));
  }
  GENERAL_NAMES_free(all);
  return names;
}

int64_t NotBefore(const X509* certificate) { return SecondsOf(X509_get0_notBefore(certificate)); }
int64_t NotAfter(const X509* certificate) { return SecondsOf(X509_get0_notAfter(certificate)); }

std::string LastErrorText() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "no reason given" : reason;
}

}  // namespace lariat::env::tls
