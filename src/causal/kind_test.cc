// SPDX-License-Identifier: Apache-2.0
#include "causal/kind.h"

#include <gtest/gtest.h>

#include "causal/object.h"

namespace lariat::causal {
namespace {

using base::Code;

TEST(Kind, WhatThisVersionLacksIsSaidSo) {
  for (const char* later : {"typed"}) {
    const auto kind = ParseKind(later);
    ASSERT_FALSE(kind);
    EXPECT_EQ(kind.error().code, Code::kUnsupported) << later;
  }
  for (const char* wrong : {"", "LWW", "sibling", "crdt"}) {
    const auto kind = ParseKind(wrong);
    ASSERT_FALSE(kind);
    EXPECT_EQ(kind.error().code, Code::kInvalidArgument) << wrong;
  }
}

TEST(Kind, EveryRowHasAStateANumberAndAName) {
  for (const KindRow& row : kKinds) {
    EXPECT_EQ(Object(row.kind).kind(), row.kind);
    EXPECT_EQ(Object(row.kind).Id().has_value(), row.ordered_by_clock);
    EXPECT_EQ(KindOf(static_cast<uint32_t>(row.kind)), row.kind);
    EXPECT_EQ(ParseKind(row.name).value(), row.kind);
  }
  EXPECT_EQ(KindOf(0), std::nullopt);
  EXPECT_EQ(KindOf(11), std::nullopt);
}

}  // namespace
}  // namespace lariat::causal
