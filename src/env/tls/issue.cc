// SPDX-License-Identifier: Apache-2.0
#include "env/tls/issue.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>

#include "env/tls/internal/openssl.h"

namespace lariat::env::tls {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kNameBytesMax = 64;  // of a common name (X.520)

struct Wanted {
  std::string common_name;
  std::string alternative_names;  // in OpenSSL's words: "URI:...,DNS:..."
  std::vector<std::pair<int, std::string>> extensions;
  Validity validity;
};

struct Signer {
  Cert certificate;
  Key key;
};

base::Result<std::string> TextOf(const char* what, const MemoryBio& bio, int good) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  if (good != 1 || size <= 0) {
    return Fail(Code::kInternal, fmt::format("cannot write {}: {}", what, LastErrorText()));
  }
  return std::string(text, static_cast<size_t>(size));
}

bool AddExtension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  const bool good = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return good;
}

bool SetSerial(X509* certificate) {
  std::array<unsigned char, 16> bytes;
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, and never 0
  BIGNUM* number = BN_bin2bn(bytes.data(), bytes.size(), nullptr);
  const bool good = number != nullptr &&
                    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return good;
}

bool Describe(X509* certificate, const Wanted& wanted) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* name = reinterpret_cast<const unsigned char*>(wanted.common_name.data());
  const auto size = static_cast<int>(wanted.common_name.size());
  return X509_set_version(certificate, X509_VERSION_3) == 1 && SetSerial(certificate) &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), wanted.validity.from_s) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), wanted.validity.until_s) != nullptr &&
         X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, name, size, -1, 0) == 1;
}

// Signed by itself without a signer.
base::Result<Issued> Make(const Wanted& wanted, const Signer* signer) {
  const Key key(EVP_EC_gen("P-256"));
  const Cert certificate(X509_new());
  X509* made = certificate.get();
  X509* issuer = signer == nullptr ? made : signer->certificate.get();
  bool good = key != nullptr && made != nullptr && Describe(made, wanted) &&
              X509_set_pubkey(made, key.get()) == 1 &&
              X509_set_issuer_name(made, X509_get_subject_name(issuer)) == 1;
  for (const auto& [id, value] : wanted.extensions) {
    good = good && AddExtension(made, issuer, id, value);
  }
  good = good && AddExtension(made, issuer, NID_subject_alt_name, wanted.alternative_names) &&
         X509_sign(made, signer == nullptr ? key.get() : signer->key.get(), EVP_sha256()) > 0;
  if (!good) {
    return Fail(Code::kInvalidArgument, fmt::format("cannot make a certificate for '{}': {}",
                                                    wanted.common_name, LastErrorText()));
  }
  const MemoryBio certificate_out(BIO_new(BIO_s_mem()));
  auto certificate_text =
      TextOf("the certificate", certificate_out, PEM_write_bio_X509(certificate_out.get(), made));
  if (!certificate_text) return Fail(certificate_text.error());
  const MemoryBio key_out(BIO_new(BIO_s_mem()));
  auto key_text = TextOf(
      "the key", key_out,
      PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  if (!key_text) return Fail(key_text.error());
  return Issued{std::move(*certificate_text), std::move(*key_text)};
}

base::Status CheckLength(const char* what, const std::string& name) {
  if (!name.empty() && name.size() <= kNameBytesMax) return {};
  return Fail(Code::kInvalidArgument, fmt::format("{} has 1 to {} bytes, '{}' has {}", what,
                                                  kNameBytesMax, name, name.size()));
}

base::Result<Signer> ReadSigner(const Issued& authority) {
  auto certificates = ReadCertificates(authority.certificate);
  Signer signer;
  if (certificates.size() == 1) signer.certificate = std::move(certificates[0]);
  signer.key = ReadKey(authority.key);
  const bool good = signer.certificate && signer.key &&
                    X509_check_private_key(signer.certificate.get(), signer.key.get()) == 1;
  ERR_clear_error();
  if (good) return signer;
  return Fail(Code::kInvalidArgument, "this is no authority with its key");
}

bool IsHostName(const std::string& host) {
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == '*';
  };
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), plain);
}

base::Result<std::string> HostText(const std::string& host) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
  ERR_clear_error();
  const bool numeric = address != nullptr;
  ASN1_OCTET_STRING_free(address);
  if (numeric) return ",IP:" + host;
  if (IsHostName(host)) return ",DNS:" + host;
  return Fail(Code::kInvalidArgument,
              fmt::format("'{}' is neither a host name nor a numeric address", host));
}

base::Result<Issued> MakeLeaf(const Issued& authority, Wanted wanted, Name name) {
  auto signer = ReadSigner(authority);
  if (!signer) return Fail(signer.error());
  auto cluster = ReadAuthority(authority);
  if (!cluster) return Fail(cluster.error());
  name.cluster = cluster->cluster;
  wanted.common_name = name.name;
  wanted.alternative_names = "URI:" + ToUri(name) + wanted.alternative_names;
  wanted.validity.until_s = std::min(wanted.validity.until_s, NotAfter(signer->certificate.get()));
  wanted.extensions.insert(wanted.extensions.begin(),
                           {{NID_basic_constraints, "critical,CA:FALSE"},
                            {NID_key_usage, "critical,digitalSignature"},
                            {NID_subject_key_identifier, "hash"},
                            {NID_authority_key_identifier, "keyid:always"}});
  return Make(wanted, &*signer);
}

}  // namespace

base::Result<Issued> IssueAuthority(const std::string& cluster, Validity validity) {
  if (auto status = CheckLength("a cluster's label", cluster); !status) return Fail(status.error());
  Wanted wanted;
  wanted.common_name = "Lariat authority";
  wanted.alternative_names = "URI:" + ToUri({Name::Kind::kAuthority, cluster, ""});
  wanted.validity = validity;
  wanted.extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                       {NID_key_usage, "critical,keyCertSign,cRLSign"},
                       {NID_subject_key_identifier, "hash"}};
  return Make(wanted, nullptr);
}

base::Result<Name> ReadAuthority(const Issued& authority) {
  auto signer = ReadSigner(authority);
  if (!signer) return Fail(signer.error());
  const std::vector<Name> names = NamesIn(signer->certificate.get());
  if (names.size() != 1 || names[0].kind != Name::Kind::kAuthority) {
    return Fail(Code::kInvalidArgument,
                "the authority's certificate has no URI lariat:cluster/LABEL, so it is none of "
                "lariat cert ca");
  }
  return names[0];
}

base::Result<Issued> IssueNode(const Issued& authority, const std::string& node,
                               const std::vector<std::string>& hosts, Validity validity) {
  if (auto status = CheckLength("a node's name", node); !status) return Fail(status.error());
  Wanted wanted;
  wanted.validity = validity;
  wanted.extensions = {{NID_ext_key_usage, "serverAuth,clientAuth"}};
  for (const std::string& host : hosts) {
    auto text = HostText(host);
    if (!text) return Fail(text.error());
    wanted.alternative_names += *text;
  }
  return MakeLeaf(authority, std::move(wanted), {Name::Kind::kNode, "", node});
}

base::Result<Issued> IssueUser(const Issued& authority, const std::string& user,
                               Validity validity) {
  if (auto status = CheckLength("a user's name", user); !status) return Fail(status.error());
  Wanted wanted;
  wanted.validity = validity;
  wanted.extensions = {{NID_ext_key_usage, "clientAuth"}};
  return MakeLeaf(authority, std::move(wanted), {Name::Kind::kUser, "", user});
}

base::Result<std::string> Revoke(const Issued& authority, const std::string& certificate,
                                 Validity validity) {
  auto signer = ReadSigner(authority);
  if (!signer) return Fail(signer.error());
  const auto revoked = ReadCertificates(certificate);
  X509* issuer = signer->certificate.get();
  if (revoked.empty() || X509_verify(revoked[0].get(), X509_get0_pubkey(issuer)) != 1) {
    ERR_clear_error();
    return Fail(Code::kInvalidArgument, "the authority has signed no such certificate");
  }
  auto lists = ReadRevocations(authority.certificate);
  const Crl list = lists.empty() ? Crl(X509_CRL_new()) : std::move(lists[0]);
  X509_CRL* made = list.get();
  const std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>> from(
      ASN1_TIME_set(nullptr, validity.from_s)),
      until(ASN1_TIME_set(nullptr, validity.until_s));
  X509_REVOKED* entry = X509_REVOKED_new();
  const bool good =
      made != nullptr && X509_CRL_set_version(made, X509_CRL_VERSION_2) == 1 &&
      X509_CRL_set_issuer_name(made, X509_get_subject_name(issuer)) == 1 &&
      X509_CRL_set1_lastUpdate(made, from.get()) == 1 &&
      X509_CRL_set1_nextUpdate(made, until.get()) == 1 &&
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked[0].get())) == 1 &&
      X509_REVOKED_set_revocationDate(entry, from.get()) == 1 &&
      X509_CRL_add0_revoked(made, entry) == 1 && X509_CRL_sort(made) == 1 &&
      X509_CRL_sign(made, signer->key.get(), EVP_sha256()) > 0;
  const MemoryBio out(BIO_new(BIO_s_mem()));
  return TextOf("the list", out,
                good && PEM_write_bio_X509(out.get(), issuer) == 1
                    ? PEM_write_bio_X509_CRL(out.get(), made)
                    : 0);
}

}  // namespace lariat::env::tls
