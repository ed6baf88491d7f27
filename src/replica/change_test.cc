// SPDX-License-Identifier: Apache-2.0
#include "replica/record/change.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lariat::replica {
namespace {

class Notes {
 public:
  explicit Notes(std::string name) : name_(std::move(name)) {}
  void OnChange(const RecordChange& change) {
    seen.push_back(std::string(change.data_key) + (change.before ? " was" : " new") +
                   (change.after ? " is" : " gone"));
  }
  uint64_t Version() const { return seen.size(); }
  void BeforeWrite(storage::WriteBatch* batch) {
    batch->Put(storage::Space::kMeta, name_, std::to_string(seen.size()));
  }
  void AfterWrite(bool applied) { written += applied ? 1 : 0; }

  std::vector<std::string> seen;
  int written = 0;

 private:
  std::string name_;
};

TEST(RiderList, TellsEachOfTheSameChangesInOneBatch) {
  Notes trees("trees"), index("index");
  RiderList<Notes, Notes> riders(trees, index);
  const uint64_t version = riders.Version();
  riders.OnChange({"a", std::nullopt, RecordImage{}});
  riders.OnChange({"b", RecordImage{}, std::nullopt});
  EXPECT_NE(riders.Version(), version);
  storage::WriteBatch batch;
  riders.BeforeWrite(&batch);
  ASSERT_EQ(batch.operations.size(), 2U);
  EXPECT_EQ(batch.operations[0].key, "trees");
  EXPECT_EQ(batch.operations[1].key, "index");
  riders.AfterWrite(true);
  for (const Notes* rider : {&trees, &index}) {
    EXPECT_EQ(rider->seen, (std::vector<std::string>{"a new is", "b was gone"}));
    EXPECT_EQ(rider->written, 1);
  }
}

TEST(RecordImage, SaysWhatAnObjectIs) {
  causal::Object object(causal::Kind::kSiblings);
  object.dvv()->Update({}, {.tombstone = true}, {2, 1, 1});
  const std::string bytes = object.Encode();
  const auto image = ReadImage(bytes);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->object, bytes);
  EXPECT_TRUE(image->traits.tombstone);
  EXPECT_FALSE(ReadImage("no object"));
}

}  // namespace
}  // namespace lariat::replica
