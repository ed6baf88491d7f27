// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/openapi/openapi.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "base/doc_page_test_util.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/routes.h"

namespace lariat::frontend::http {
namespace {

namespace json = boost::json;

TEST(OpenApi, DocumentIsCurrent) {
  base::ExpectCurrent(std::filesystem::path(LARIAT_DOCS_DIR) / "openapi.json", OpenApiJson());
}

// Every "$ref" in `value`, as the kind and the name of a component.
void FindRefs(const json::value& value, std::set<std::pair<std::string, std::string>>* refs) {
  if (value.is_array()) {
    for (const json::value& item : value.as_array()) FindRefs(item, refs);
  }
  if (!value.is_object()) return;
  for (const auto& member : value.as_object()) {
    if (member.key() != "$ref") {
      FindRefs(member.value(), refs);
      continue;
    }
    const std::string text(member.value().as_string());
    const std::string start = "#/components/";
    ASSERT_TRUE(text.starts_with(start)) << text;
    const size_t slash = text.find('/', start.size());
    refs->emplace(text.substr(start.size(), slash - start.size()), text.substr(slash + 1));
  }
}

TEST(OpenApi, WhatIsNamedIsThereAndWhatIsThereIsNamed) {
  const json::value document = json::parse(OpenApiJson());
  std::set<std::pair<std::string, std::string>> named, there;
  FindRefs(document, &named);
  for (const auto& kind : document.at("components").as_object()) {
    for (const auto& part : kind.value().as_object()) there.emplace(kind.key(), part.key());
  }
  EXPECT_EQ(named, there);
}

TEST(OpenApi, LeavesOutOnlyWhatThisVersionLacks) {
  for (const Route& route : RouteTable()) {
    const bool is_page = route.handler == GetConsole;  // for people, not for programs
    EXPECT_EQ(route.summary.empty(), is_page || route.handler == RefuseUnsupported)
        << route.pattern;
  }
}

}  // namespace
}  // namespace lariat::frontend::http
