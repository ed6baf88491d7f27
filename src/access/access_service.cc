// SPDX-License-Identifier: Apache-2.0
#include "access/access_service.h"

namespace lariat::access {
namespace {

using base::Code;
using base::Fail;
using coordinator::Caller;

base::Error IsOff() {
  return {Code::kUnsupported,
          "this node knows no users: security.auth is off (docs/security.md says how to turn it on "
          "in a running cluster)"};
}

class OpenHouse final : public AccessService {
 public:
  Mode mode() const override { return Mode::kOff; }
  base::Status Check(Door door, const Caller&, std::string_view) override {
    return door == Door::kUsers ? base::Status(Fail(IsOff())) : base::Status();
  }
  bool Sees(const Caller&, std::string_view) override { return true; }
  void Login(Attempt, LoginDone done) override { done(Fail(IsOff())); }
  base::Result<Visit> ByToken(std::string_view, std::string_view, std::string_view) override {
    return Fail(IsOff());
  }
  base::Result<Caller> ByCertificate(std::string_view, std::string_view,
                                     std::string_view) override {
    return Fail(IsOff());
  }
  base::Result<NewToken> MakeToken(const Caller&) override { return Fail(IsOff()); }
  std::shared_ptr<const security::Rights> rights() override { return nullptr; }
  void Change(AccessChange, Caller, StatusDone done) override { done(Fail(IsOff())); }
};

}  // namespace

Mode ParseMode(std::string_view text) {
  if (text == "on") return Mode::kOn;
  return text == "permissive" ? Mode::kPermissive : Mode::kOff;
}

AccessService& NoAccess() {
  static OpenHouse house;
  return house;
}

}  // namespace lariat::access
