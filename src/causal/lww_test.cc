// SPDX-License-Identifier: Apache-2.0
#include "causal/lww.h"

#include <gtest/gtest.h>

#include "causal/causal_test_util.h"

namespace lariat::causal {
namespace {

LwwRegister Make(uint64_t stamp, uint64_t node, bool tombstone, std::string bytes) {
  LwwRegister r{{stamp}, node, MakeValue(std::move(bytes))};
  r.value.tombstone = tombstone;
  return r;
}

TEST(Lww, OrdersByStampThenNodeThenTombstoneThenBytes) {
  const LwwRegister ascending[] = {
      {},
      Make(1, 9, true, "z"),
      Make(2, 1, true, "z"),
      Make(2, 2, false, ""),
      Make(2, 2, false, "a"),
      Make(2, 2, false, std::string("a\0", 2)),
      Make(2, 2, false, "b"),
      Make(2, 2, false, "\xff"),
      Make(2, 2, true, ""),
      Make(2, 2, true, "a"),
  };
  for (size_t i = 0; i < std::size(ascending); ++i) {
    for (size_t j = 0; j < std::size(ascending); ++j) {
      EXPECT_EQ(ascending[i].Loses(ascending[j]), i < j) << i << " " << j;
      LwwRegister joined = ascending[i];
      joined.Join(ascending[j]);
      EXPECT_EQ(joined, ascending[std::max(i, j)]) << i << " " << j;
    }
  }
}

LwwRegister RandomRegister(base::Prng* prng) {
  LwwRegister r =
      Make(prng->Below(2), prng->Below(2), prng->Chance(0.5), std::string(prng->Below(2), 'x'));
  r.value.content_type = std::string(prng->Below(2), 't');
  r.value.expires_ms = prng->Between(0, 1);
  r.value.written.ms = prng->Between(0, 1);
  return r;
}

// Guards M1, M36.
TEST(Lww, OrderIsTotalAndJoinIsALattice) {
  base::Prng prng(4);
  for (int round = 0; round < 50'000; ++round) {
    const LwwRegister a = RandomRegister(&prng);
    const LwwRegister b = RandomRegister(&prng);
    const LwwRegister c = RandomRegister(&prng);
    ASSERT_EQ(a.Loses(b) + b.Loses(a), a == b ? 0 : 1) << "exactly one loses, unless equal";
    LwwRegister ab = a, ba = b, bc = b;
    ab.Join(b);
    ba.Join(a);
    bc.Join(c);
    ASSERT_EQ(ab, ba);
    LwwRegister ab_c = ab, a_bc = a;
    ab_c.Join(c);
    a_bc.Join(bc);
    ASSERT_EQ(ab_c, a_bc);
    ab.Join(a);
    ASSERT_EQ(ab, ba);
  }
}

}  // namespace
}  // namespace lariat::causal
