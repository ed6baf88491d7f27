// SPDX-License-Identifier: Apache-2.0
// Users, roles and grants in JSON: the bodies that change them and the answers that show them,
// which never hold a secret.
#pragma once

#include <string_view>

#include "access/access_service.h"
#include "base/result.h"
#include "frontend/http/internal/json_writer.h"
#include "security/book.h"

namespace lariat::frontend::http {

// Each says which member is wrong: kInvalidArgument. No text of the body is repeated.
base::Result<access::Attempt> ReadLogin(std::string_view body);
// {"password"?, "roles"?}
base::Result<access::AccessChange> ReadUser(std::string_view body);
// {"actions", "bucket", "prefix"?}
base::Result<security::Grant> ReadGrant(std::string_view body);

void WriteUser(JsonWriter& json, std::string_view name, const security::User& user);
void WriteRole(JsonWriter& json, std::string_view name, const security::Role& role);

}  // namespace lariat::frontend::http
