// SPDX-License-Identifier: Apache-2.0
// Logging in, and users, roles and grants. Changes are answered when the members have agreed and
// all that answer know it.
#include "frontend/http/internal/handlers.h"

#include <memory>
#include <string>
#include <utility>

#include "frontend/http/internal/access_json.h"
#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/bad_request.h"

namespace lariat::frontend::http {
namespace {

using access::AccessChange;
using base::Code;
using security::BookChange;

// nullptr if it was refused.
std::shared_ptr<const security::Rights> KnownUsers(Exchange& exchange) {
  access::AccessService& access = exchange.shared().access;
  // The door has been passed, unless there is none.
  if (auto may = access.Check(access::Door::kUsers, exchange.caller(), ""); !may) {
    exchange.Refuse(std::move(may.error()));
    return nullptr;
  }
  auto known = access.rights();
  if (!known) exchange.Refuse({Code::kUnavailable, "this node knows no users yet"});
  return known;
}

std::string NameOf(const Request& request) {
  return PercentDecode(*request.name_segment).value_or("");  // no name: refused by the rules
}

void AnswerChange(Exchange exchange, AccessChange change) {
  Shared& shared = exchange.shared();
  const coordinator::Caller caller = exchange.caller();
  shared.access.Change(std::move(change), caller,
                       [exchange = std::move(exchange)](base::Status status) mutable {
                         if (!status) return exchange.Refuse(std::move(status.error()));
                         AnswerJson(exchange, 200, [](JsonWriter& json) {
                           json.BeginObject().Key("changed").Bool(true).EndObject();
                         });
                       });
}

void ChangeByName(Request& request, Exchange exchange, BookChange::Verb verb) {
  if (RefuseQuery(request, exchange)) return;
  AccessChange change;
  change.change.verb = verb;
  change.change.name = NameOf(request);
  AnswerChange(std::move(exchange), std::move(change));
}

void ChangeGrant(Request& request, Exchange exchange, BookChange::Verb verb) {
  if (RefuseQuery(request, exchange)) return;
  auto grant = ReadGrant(request.body);
  if (!grant) return exchange.Refuse(std::move(grant.error()));
  AccessChange change;
  change.change.verb = verb;
  change.change.name = NameOf(request);
  change.change.grant = std::move(*grant);
  AnswerChange(std::move(exchange), std::move(change));
}

}  // namespace

void PostLogin(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto attempt = ReadLogin(request.body);
  if (!attempt) return exchange.Refuse(std::move(attempt.error()));
  attempt->from = exchange.caller().from();
  attempt->protocol = "http";
  Shared& shared = exchange.shared();
  shared.access.Login(std::move(*attempt), [exchange = std::move(exchange)](
                                               base::Result<coordinator::Caller> caller) mutable {
    if (!exchange.shared().alive) return;
    if (!caller) return exchange.Refuse(std::move(caller.error()));
    const auto token = exchange.shared().access.MakeToken(*caller);
    if (!token) return exchange.Refuse(token.error());
    AnswerJson(exchange, 200, [&](JsonWriter& json) {
      json.BeginObject().Key("token").Text(token->text);
      json.Key("expires").Int(token->expires.ms).EndObject();
    });
  });
}

void ListUsers(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto known = KnownUsers(exchange);
  if (!known) return;
  AnswerJson(exchange, 200, [&](JsonWriter& json) {
    json.BeginObject().Key("users").BeginArray();
    for (const auto& [name, user] : known->book().users) WriteUser(json, name, user);
    json.EndArray().EndObject();
  });
}

void GetUser(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto known = KnownUsers(exchange);
  if (!known) return;
  const auto user = known->book().users.find(NameOf(request));
  if (user == known->book().users.end()) return exchange.Refuse({Code::kNotFound, "no such user"});
  AnswerJson(exchange, 200, [&](JsonWriter& json) { WriteUser(json, user->first, user->second); });
}

void PutUser(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  auto change = ReadUser(request.body);
  if (!change) return exchange.Refuse(std::move(change.error()));
  change->change.name = NameOf(request);
  AnswerChange(std::move(exchange), std::move(*change));
}

void DeleteUser(Request& request, Exchange exchange) {
  ChangeByName(request, std::move(exchange), BookChange::Verb::kDropUser);
}

void ListRoles(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto known = KnownUsers(exchange);
  if (!known) return;
  AnswerJson(exchange, 200, [&](JsonWriter& json) {
    json.BeginObject().Key("roles").BeginArray();
    for (const auto& [name, role] : known->book().roles) WriteRole(json, name, role);
    json.EndArray().EndObject();
  });
}

void GetRole(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto known = KnownUsers(exchange);
  if (!known) return;
  const auto role = known->book().roles.find(NameOf(request));
  if (role == known->book().roles.end()) return exchange.Refuse({Code::kNotFound, "no such role"});
  AnswerJson(exchange, 200, [&](JsonWriter& json) { WriteRole(json, role->first, role->second); });
}

void PutRole(Request& request, Exchange exchange) {
  const std::string_view body = TrimBlanks(request.body);
  if (!body.empty() && body != "{}") return exchange.Refuse(BadRequest("a role takes no members"));
  ChangeByName(request, std::move(exchange), BookChange::Verb::kPutRole);
}

void DeleteRole(Request& request, Exchange exchange) {
  ChangeByName(request, std::move(exchange), BookChange::Verb::kDropRole);
}

void PostGrant(Request& request, Exchange exchange) {
  ChangeGrant(request, std::move(exchange), BookChange::Verb::kGrant);
}

void DeleteGrant(Request& request, Exchange exchange) {
  ChangeGrant(request, std::move(exchange), BookChange::Verb::kRevoke);
}

}  // namespace lariat::frontend::http
