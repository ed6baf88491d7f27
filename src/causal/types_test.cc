// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "causal/causal_test_util.h"
#include "causal/types/operation.h"
#include "causal/types/sketch.h"

namespace lariat::causal {
namespace {

using base::Code;

constexpr base::WallTime kNow{1'000};
const Actor kA = MakeActor(1);
const Actor kB = MakeActor(2);
constexpr std::string_view kHeadA = "01 0100000000000000 0700000000000000 00";  // one actor

Operation Increment(int64_t by) {
  Operation operation;
  operation.step.kind = Kind::kCounter;
  operation.step.increment = by;
  return operation;
}

Operation OnSet(std::vector<std::string> add, std::vector<std::string> remove = {}) {
  Operation operation;
  operation.step.kind = Kind::kSet;
  operation.step.add = std::move(add);
  operation.step.remove = std::move(remove);
  return operation;
}

Operation OnField(std::string name, causal::Step step) {
  Operation operation;
  operation.step.kind = Kind::kMap;
  operation.fields.push_back({std::move(name), false, std::move(step)});
  return operation;
}

// As a coordinator does it whose replica is all there is.
base::Result<Applied> Write(Object* object, ClientWrite write, const Actor& actor,
                            base::WallTime now = kNow) {
  const bool reads = write.NeedsRead(object->kind());
  auto change = Change::Of(
      &write, {.kind = object->kind(), .bucket = "b", .key = "k", .now_us = now.ms * 1'000});
  if (!change) return base::Fail(change.error());
  if (reads) object->Inform(&*change);
  return object->Apply(std::move(*change), {actor, {}});
}

base::Result<Applied> Do(Object* object, const Operation& operation, const Actor& actor,
                         base::WallTime now = kNow) {
  ClientWrite write;
  write.is_operation = true;
  write.value = operation.Encode();
  return Write(object, std::move(write), actor, now);
}

base::Result<Applied> Delete(Object* object, const Actor& actor,
                             std::optional<std::string> context = {}) {
  ClientWrite write;
  write.is_delete = true;
  write.context = std::move(context);
  return Write(object, std::move(write), actor);
}

std::string Shown(const Object& object, base::WallTime now = kNow) {
  const auto merged = object.Merged(now);
  return merged ? merged->bytes : "nothing";
}

std::string List(std::initializer_list<std::string_view> elements) {
  std::string list;
  base::ByteWriter out(&list);
  for (const auto element : elements) out.Sized(element);
  return list;
}

std::string Golden(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) text += part;
  return Hex(FromHex(text));
}

// --- stored bytes ---

TEST(TypeFormats, ACounterHasTheGoldenBytes) {
  Object counter(Kind::kCounter);
  ASSERT_TRUE(Do(&counter, Increment(5), kA));
  ASSERT_TRUE(Do(&counter, Increment(-2), kA));
  EXPECT_EQ(Hex(counter.Encode()),
            Golden({"01 03", kHeadA, "02 00", "01 00 02 00 e807 00", "01 00 02 05 02 00 00 00"}));
  ASSERT_TRUE(Delete(&counter, kA));
  EXPECT_EQ(Hex(counter.Encode()),
            Golden({"01 03", kHeadA, "03 00", "01 00 03 01 e807 00", "01 00 02 05 02 02 05 02"}));
}

TEST(TypeFormats, ARegisterAndAFlagHaveTheGoldenBytes) {
  Object text(Kind::kRegister);
  ClientWrite put;
  put.value = "hi";
  put.content_type = "text/plain";
  ASSERT_TRUE(Write(&text, put, kA));
  EXPECT_EQ(Hex(text.Encode()), Golden({"01 04", kHeadA, "01 00", "01 00 01 04 e807",
                                        "0a 746578742f706c61696e 02 6869"}));
  Object flag(Kind::kFlag);
  Operation on;
  on.step.kind = Kind::kFlag;
  on.step.on = true;
  ASSERT_TRUE(Do(&flag, on, kA));
  EXPECT_EQ(Hex(flag.Encode()), Golden({"01 05", kHeadA, "01 00", "01 00 01 00 e807 01 31"}));
}

TEST(TypeFormats, ASetHasTheGoldenBytes) {
  Object set(Kind::kSet);
  ASSERT_TRUE(Do(&set, OnSet({"y", "x"}), kA));
  EXPECT_EQ(Hex(set.Encode()), Golden({"01 07", kHeadA, "03 00", "01 00 01 00 e807 00",
                                       "02 01 78 01 00 03 01 79 01 00 02"}));
}

TEST(TypeFormats, AMapHasTheGoldenBytes) {
  Object map(Kind::kMap);
  causal::Step step;
  step.kind = Kind::kRegister;
  step.text = "Ada";
  ASSERT_TRUE(Do(&map, OnField("name", step), kA));
  EXPECT_EQ(Hex(map.Encode()), Golden({"01 08", kHeadA, "02 00", "01 00 01 00 e807 00",
                                       "01 04 6e616d65 04 01 00 02 00 e807 03 416461"}));
}

TEST(TypeFormats, ASketchHasTheGoldenBytes) {
  Sketch sketch;
  EXPECT_EQ(Hex(sketch.Encode()), "00");
  sketch.Add("a");
  const std::string bytes = sketch.Encode();
  EXPECT_EQ(bytes.size(), 4U);
  EXPECT_EQ(Sketch::Decode(bytes), sketch);
  for (int i = 0; i < 100'000; ++i) sketch.Add(std::to_string(i));
  EXPECT_EQ(sketch.Encode().size(), 1U + 12'288U);
  EXPECT_EQ(Sketch::Decode(sketch.Encode()), sketch);
  EXPECT_EQ(Sketch::Decode("HYLL"), std::nullopt) << "nobody's raw bytes are taken";
}

TEST(TypeFormats, ChangedBytesAreRefusedOrMeanAnotherState) {
  Object map(Kind::kMap);
  causal::Step step;
  step.kind = Kind::kSet;
  step.add = {"x", "y"};
  ASSERT_TRUE(Do(&map, OnField("tags", step), kA));
  step = {.kind = Kind::kCounter, .increment = 3};
  ASSERT_TRUE(Do(&map, OnField("visits", step), kB));
  Object set(Kind::kSet);
  ASSERT_TRUE(Do(&set, OnSet({"a", "b"}), kA));
  Object hll(Kind::kHll);
  Operation add;
  add.step.kind = Kind::kHll;
  add.step.add = {"a", "b"};
  ASSERT_TRUE(Do(&hll, add, kA));
  base::Prng prng(7);
  for (const Object* object : {&map, &set, &hll}) {
    const std::string bytes = object->Encode();
    for (int round = 0; round < 20'000; ++round) {
      const std::string changed = Mutate(bytes, &prng);
      const auto decoded = Object::Decode(changed);
      if (decoded) {
        ASSERT_EQ(decoded->Encode(), changed) << "one state has one form";
      }
    }
  }
}

// --- operations ---

TEST(Operations, AreReadAsTheyWereWritten) {
  Operation map = OnField("tags", {.kind = Kind::kSet, .add = {"x"}, .remove = {"y"}});
  map.fields.push_back({"visits", false, {.kind = Kind::kCounter, .increment = -3}});
  map.fields.push_back({"old", true, {.kind = Kind::kFlag}});
  for (const Operation& operation : {Increment(-7), OnSet({"a"}, {"b", "c"}), map}) {
    EXPECT_EQ(Operation::Decode(operation.Encode()), operation);
    EXPECT_EQ(Removes(operation.Encode()), operation.Removes());
    EXPECT_EQ(KindOfOperation(operation.Encode()), operation.step.kind);
    EXPECT_TRUE(operation.Check());
  }
  base::Prng prng(8);
  for (int round = 0; round < 20'000; ++round) {
    const std::string changed = Mutate(map.Encode(), &prng);
    const auto decoded = Operation::Decode(changed);
    if (decoded) {
      ASSERT_EQ(decoded->Encode(), changed);
    }
  }
}

TEST(Operations, HaveLimits) {
  const auto code = [](const Operation& operation) { return operation.Check().error().code; };
  EXPECT_TRUE(OnSet({std::string(1024, 'x')}).Check());
  EXPECT_EQ(code(OnSet({std::string(1025, 'x')})), Code::kElementTooLarge);
  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back(std::to_string(i));
  EXPECT_TRUE(OnSet(many).Check());
  many.push_back("one more");
  EXPECT_EQ(code(OnSet(many)), Code::kOperationTooLarge);
  causal::Step step;
  step.kind = Kind::kRegister;
  step.text.assign(64 << 10, 'x');
  EXPECT_TRUE(OnField("f", step).Check());
  step.text += 'x';
  EXPECT_EQ(code(OnField("f", step)), Code::kElementTooLarge);
  std::vector<std::string> large;
  for (int i = 0; i < 1000; ++i) large.push_back(std::to_string(i) + std::string(1020, 'x'));
  EXPECT_TRUE(OnSet(large).Check());
  for (std::string& element : large) element += "xxxx";
  EXPECT_EQ(code(OnSet(large)), Code::kElementTooLarge);
  EXPECT_EQ(code(OnSet({})), Code::kInvalidArgument);
  EXPECT_EQ(code(OnSet({"a"}, {"a"})), Code::kInvalidArgument);
}

TEST(Operations, OnAnotherTypeAreRefused) {
  ClientWrite write;
  write.is_operation = true;
  write.value = Increment(1).Encode();
  EXPECT_TRUE(write.CheckFor(Kind::kCounter, "b", "k"));
  for (const Kind kind : {Kind::kSet, Kind::kMap, Kind::kSiblings, Kind::kLww}) {
    EXPECT_EQ(write.CheckFor(kind, "b", "k").error().code, Code::kWrongType);
  }
  ClientWrite put;
  put.value = "x";
  EXPECT_TRUE(put.CheckFor(Kind::kRegister, "b", "k"));
  EXPECT_EQ(put.CheckFor(Kind::kCounter, "b", "k").error().code, Code::kWrongType);
}

// --- what comes of them ---

TEST(Counters, AddUpFromBothSidesAndStopAtTheirLimits) {
  Object here(Kind::kCounter);
  Object there(Kind::kCounter);
  ASSERT_TRUE(Do(&here, Increment(5), kA));
  ASSERT_TRUE(Do(&there, Increment(-2), kB));
  ASSERT_TRUE(here.Join(there));
  EXPECT_EQ(Shown(here), "3");
  ASSERT_TRUE(Do(&here, Increment(INT64_MAX - 3), kA));
  EXPECT_EQ(Do(&here, Increment(1), kA).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Shown(here), std::to_string(INT64_MAX));
  Object low(Kind::kCounter);
  ASSERT_TRUE(Do(&low, Increment(INT64_MIN), kA));
  EXPECT_EQ(Shown(low), std::to_string(INT64_MIN));
}

// An increment that the delete had not seen counts, and does not bring back what it had seen.
TEST(Counters, AConcurrentIncrementSurvivesADeleteAlone) {
  Object here(Kind::kCounter);
  ASSERT_TRUE(Do(&here, Increment(100), kA));
  Object there = here;
  ASSERT_TRUE(Do(&here, Increment(1), kA));
  ASSERT_TRUE(Delete(&there, kB));
  EXPECT_EQ(Shown(there), "nothing");
  ASSERT_TRUE(here.Join(there));
  EXPECT_EQ(Shown(here), "1");
}

TEST(Counters, ADeleteWithAnOldContextIsRefused) {
  Object counter(Kind::kCounter);
  ASSERT_TRUE(Do(&counter, Increment(1), kA));
  const std::string context = EncodeContext(counter.WholeContext(), "b", "k");
  ASSERT_TRUE(Do(&counter, Increment(1), kA));
  EXPECT_EQ(Delete(&counter, kA, context).error().code, Code::kPreconditionFailed);
  const std::string now = EncodeContext(counter.WholeContext(), "b", "k");
  EXPECT_TRUE(Delete(&counter, kA, now));
  EXPECT_EQ(Shown(counter), "nothing");
}

TEST(Sets, AConcurrentAdditionSurvivesARemoval) {
  Object here(Kind::kSet);
  ASSERT_TRUE(Do(&here, OnSet({"milk", "eggs"}), kA));
  Object there = here;
  ASSERT_TRUE(Do(&here, OnSet({"milk"}), kA));
  ASSERT_TRUE(Do(&there, OnSet({}, {"milk", "eggs"}), kB));
  EXPECT_EQ(Shown(there), "") << "an emptied set is there";
  ASSERT_TRUE(here.Join(there));
  EXPECT_EQ(Shown(here), List({"milk"}));
}

TEST(Sets, ARemovalTakesAwayWhatItsContextHasSeen) {
  Object set(Kind::kSet);
  ASSERT_TRUE(Do(&set, OnSet({"a"}), kA));
  const std::string context = EncodeContext(set.WholeContext(), "b", "k");
  ASSERT_TRUE(Do(&set, OnSet({"a"}), kA));  // again, which the context has not seen
  ClientWrite remove;
  remove.is_operation = true;
  remove.value = OnSet({}, {"a"}).Encode();
  remove.context = context;
  ASSERT_TRUE(Write(&set, remove, kA));
  EXPECT_EQ(Shown(set), List({"a"}));
  remove.context.reset();
  ASSERT_TRUE(Write(&set, remove, kA));
  EXPECT_EQ(Shown(set), "");
}

// Guards M7.
TEST(Sets, AnOperationTakesOneDotForItselfAndOneForEachElement) {
  Object set(Kind::kSet);
  ASSERT_TRUE(Do(&set, OnSet({"a", "b", "c"}), kA));
  EXPECT_EQ(set.LastEventOf(kA), 4U);
  std::set<Dot> dots;
  for (const auto& [element, live] : set.merging()->root().elements) {
    ASSERT_EQ(live.size(), 1U);
    dots.insert(live.front());
  }
  EXPECT_EQ(dots.size(), 3U);
}

TEST(Sets, ARemovalWhoseContextHasNotArrivedIsRefused) {
  Object here(Kind::kSet);
  Object there(Kind::kSet);
  ASSERT_TRUE(Do(&here, OnSet({"a"}), kA));
  ClientWrite remove;
  remove.is_operation = true;
  remove.value = OnSet({}, {"a"}).Encode();
  remove.context = EncodeContext(here.WholeContext(), "b", "k");
  EXPECT_EQ(Write(&there, remove, kB).error().code, Code::kUnavailable);
}

TEST(Registers, TheLaterOfTwoIsShownAndTheOtherIsCountedWhenItGoes) {
  Object here(Kind::kRegister);
  Object there(Kind::kRegister);
  ClientWrite put;
  put.value = "early";
  ASSERT_TRUE(Write(&here, put, kA, {1'000}));
  put.value = "late";
  ASSERT_TRUE(Write(&there, put, kB, {2'000}));
  ASSERT_TRUE(here.Join(there));
  EXPECT_EQ(Shown(here), "late");
  // What replaces what it has seen is the later one, whatever its clock says.
  put.value = "last";
  const auto applied = Write(&here, put, kA, {500});
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->discarded, 1U);
  EXPECT_EQ(Shown(here), "last");
  ASSERT_TRUE(here.Join(there));
  EXPECT_EQ(Shown(here), "last");
}

TEST(Maps, FieldsMergeByTheirOwnTypeAndTwoTypesAreTwoFields) {
  Object here(Kind::kMap);
  ASSERT_TRUE(Do(&here, OnField("x", {.kind = Kind::kCounter, .increment = 2}), kA));
  Object there = here;
  ASSERT_TRUE(Do(&here, OnField("x", {.kind = Kind::kCounter, .increment = 3}), kA));
  ASSERT_TRUE(Do(&there, OnField("x", {.kind = Kind::kRegister, .text = "t"}), kB));
  ASSERT_TRUE(here.Join(there));
  const auto fields = FieldsOf(Shown(here));
  ASSERT_TRUE(fields);
  ASSERT_EQ(fields->size(), 2U);
  const std::string bytes = Shown(here);
  EXPECT_EQ(FieldsOf(bytes)->at(0).bytes, "5");
  EXPECT_EQ(FieldsOf(bytes)->at(1).bytes, "t");
}

TEST(Expiry, AnExpiredValueBeginsAnew) {
  Object counter(Kind::kCounter);
  ClientWrite write;
  write.is_operation = true;
  write.value = Increment(5).Encode();
  write.ttl_s = 1;
  ASSERT_TRUE(Write(&counter, write, kA, {1'000}));
  EXPECT_EQ(Shown(counter, {1'500}), "5");
  EXPECT_EQ(Shown(counter, {2'000}), "nothing");
  ASSERT_TRUE(Do(&counter, Increment(1), kA, {3'000}));
  EXPECT_EQ(Shown(counter, {3'000}), "1");
}

TEST(Sketches, EstimateWithinThreePercent) {
  for (const int size : {1, 100, 10'000, 200'000}) {
    Sketch sketch;
    for (int i = 0; i < size; ++i) sketch.Add("element " + std::to_string(i));
    const auto estimate = static_cast<double>(sketch.Estimate());
    EXPECT_NEAR(estimate, size, std::max(0.5, size * 0.03)) << size;
  }
}

}  // namespace
}  // namespace lariat::causal
