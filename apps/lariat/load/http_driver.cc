// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/load/http_driver.h"

#include <array>

#include "apps/lariat/load/http_scan.h"
#include "apps/lariat/load/keys.h"
#include "base/base64.h"

namespace lariat::cli::load {

namespace {

class HttpDriver : public Driver {
 public:
  HttpDriver(std::shared_ptr<const HttpOptions> options, std::string host)
      : options_(std::move(options)), host_(std::move(host)) {}

  void Append(const Op& op, std::string_view value, std::string_view context,
              std::string* out) override {
    AppendTarget(op, out);
    *out += " HTTP/1.1\r\nHost: ";
    *out += host_;
    if (!options_->authorization.empty()) {
      (*out += "\r\nAuthorization: ") += options_->authorization;
    }
    if (op.get) {
      *out += "\r\n\r\n";
      return;
    }
    if (!context.empty()) (*out += "\r\nX-Context: ") += context;
    if (options_->json) {
      envelope_ = R"({"value":")";
      envelope_ += base::Base64Encode(value);
      envelope_ += R"("})";
      value = envelope_;
    }
    *out += "\r\nContent-Length: ";
    *out += std::to_string(value.size());
    *out += "\r\n\r\n";
    *out += value;
  }

  Scan Take(std::string_view in, std::string* /*out*/) override { return ScanReply(in); }

 private:
  void AppendTarget(const Op& op, std::string* out) const {
    *out += op.get ? "GET " : "PUT ";
    *out += options_->json ? "/v1/buckets/" : "/buckets/";
    *out += options_->bucket;
    if (options_->buckets > 1) (*out += '-') += std::to_string(op.key % options_->buckets);
    *out += "/kv/";
    std::array<char, kKeyTextBytes> key;
    WriteKey(op.key, key.data());
    out->append(key.data(), key.size());
    *out += op.get ? options_->get_query : options_->put_query;
  }

  std::shared_ptr<const HttpOptions> options_;  // shared by the drivers of one generator
  std::string host_;
  std::string envelope_;
};

}  // namespace

MakeDriver HttpDrivers(HttpOptions options) {
  auto shared = std::make_shared<const HttpOptions>(std::move(options));  // by all drivers
  return [shared](const Endpoint& node) { return std::make_unique<HttpDriver>(shared, node.host); };
}

}  // namespace lariat::cli::load
