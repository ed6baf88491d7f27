// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "apps/lariat/transfer/jobs.h"
#include "apps/lariat/transfer/read/csv_reader.h"
#include "apps/lariat/transfer/read/deb822_reader.h"
#include "apps/lariat/transfer/read/key_template.h"
#include "apps/lariat/transfer/read/ndjson_reader.h"
#include "apps/lariat/transfer/state_file.h"
#include "apps/lariat/transfer/tally.h"
#include "apps/lariat/transfer/tracker.h"

namespace lariat::cli::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Next = RecordReader::Next;

class TransferTest : public ::testing::Test {
 protected:
  TransferTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lariat-cli-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~TransferTest() override { std::filesystem::remove_all(dir_); }

  std::string File(const std::string& name, std::string_view bytes) {
    std::string path = dir_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::unique_ptr<FileReader> Open(ReaderOptions options) {
    auto reader = OpenReader(options);
    EXPECT_TRUE(reader.has_value()) << (reader ? "" : reader.error().message);
    return reader ? std::move(*reader) : nullptr;
  }
  // Each record as "key=value", each bad one as "!".
  std::vector<std::string> All(RecordReader& reader) {
    std::vector<std::string> out;
    Record record;
    std::string why;
    for (Next next; (next = reader.Read(&record, &why)) != Next::kEnd;) {
      if (next == Next::kBroken) return {"broken: " + why};
      out.push_back(next == Next::kBad ? "!" : record.key + "=" + record.value);
    }
    return out;
  }

  std::string dir_;
};

TEST_F(TransferTest, NdjsonValuesOfAllKinds) {
  std::string path = File("a.ndjson", R"({"key":"a","value":"text"})"
                                      "\n\n"
                                      R"({"key":"b","value":{"x":[1,2]}})"
                                      "\r\n"
                                      R"({"key_base64":"AP8=","value_base64":"AAE="})"
                                      "\n"
                                      R"({"key":"c","value":null,"ttl":5,"content_type":"t/x"})");
  auto reader = Open({path, {}, "", "", ""});
  Record record;
  std::string why;
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  EXPECT_EQ(record.key + "=" + record.value, "a=text");
  EXPECT_EQ(record.end, 27U);
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  EXPECT_EQ(record.value, R"({"x":[1,2]})");
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  EXPECT_EQ(record.key, std::string("\0\xFF", 2));
  EXPECT_EQ(record.value, std::string("\0\1", 2));
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  EXPECT_EQ(record.value, "null");
  EXPECT_EQ(record.ttl_s, 5);
  EXPECT_EQ(record.content_type, "t/x");
  EXPECT_EQ(reader->Read(&record, &why), Next::kEnd);
}

TEST_F(TransferTest, NdjsonGoesOnBehindBadLines) {
  std::string path = File("a.json",
                          "nonsense\n"
                          "[1]\n"
                          R"({"value":"no key"})"
                          "\n"
                          R"({"key":"k"})"
                          "\n"
                          R"({"key":"k","value_base64":"?"})"
                          "\n"
                          R"({"key":"k","siblings":[{"no":"value"}]})"
                          "\n"
                          R"({"key":"k","value":"v","ttl":-1})"
                          "\n"
                          R"({"key":"ok","value":""})"
                          "\n");
  auto reader = Open({path, {}, "", "", ""});
  EXPECT_THAT(All(*reader), ElementsAre("!", "!", "!", "!", "!", "!", "!", "ok="));
}

TEST_F(TransferTest, SiblingsOfALineAreRecordsThatEndTogether) {
  const std::string first = R"({"key":"a","value":"1"})";
  std::string path =
      File("a.json", first + "\n" +
                         R"({"key":"k","siblings":[{"value":"x","content_type":"t/x"},)"
                         R"({"value_base64":"/w=="}],"context":"C"})"
                         "\n");
  auto reader = Open({path, {}, "", "", ""});
  Record record;
  std::string why;
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  EXPECT_EQ(record.key + record.value + record.content_type, "kxt/x");
  EXPECT_EQ(record.end, first.size() + 1);
  const std::string id = IdempotencyKey({"b", "f", "", ""}, record);
  ASSERT_EQ(reader->Read(&record, &why), Next::kRecord);
  EXPECT_EQ(record.key + record.value, "k\xFF");
  EXPECT_GT(record.end, first.size() + 1);
  EXPECT_NE(IdempotencyKey({"b", "f", "", ""}, record), id);
  EXPECT_EQ(reader->Read(&record, &why), Next::kEnd);
}

TEST_F(TransferTest, NdjsonWithItsOwnKeyFieldsKeepsTheLine) {
  std::string path = File("a.jsonl", "{\"id\":7,\"name\":\"x\"}\n{\"name\":\"no id\"}\n");
  auto reader = Open({path, {}, "", "u:{id}", ""});
  EXPECT_THAT(All(*reader), ElementsAre("u:7={\"id\":7,\"name\":\"x\"}", "!"));
}

// The fields of a row that is given in lines; nothing if it is wrong or not closed.
std::optional<std::vector<std::string>> Fields(const std::vector<std::string>& lines) {
  CsvRow row;
  CsvRow::Took took = CsvRow::Took::kOpen;
  for (const std::string& line : lines) took = row.Take(line);
  if (took != CsvRow::Took::kWhole) return std::nullopt;
  return row.fields();
}

TEST(CsvRows, FollowTheRfc) {
  EXPECT_THAT(*Fields({"a,b,\n"}), ElementsAre("a", "b", ""));
  EXPECT_THAT(*Fields({"\"a \"\"quoted\"\", comma\",\"x\r\n", "y\"\r"}),
              ElementsAre("a \"quoted\", comma", "x\r\ny"));
  EXPECT_THAT(*Fields({"\n"}), ElementsAre(""));
  EXPECT_THAT(*Fields({"\"\",\"\"\"\""}), ElementsAre("", "\""));
  for (const char* bad : {"\"open", "\"closed\"x,b", "a\"b", "\"a\" ,b", " \"a\""}) {
    EXPECT_FALSE(Fields({bad}).has_value()) << bad;
  }
}

TEST_F(TransferTest, CsvColumns) {
  std::string path = File("a.csv",
                          "\xEF\xBB\xBFid,key,value\r\n"
                          "1,a,x\r\n"
                          "2,b,\"two\nlines\"\r\n"
                          "3,short\r\n"
                          "\r\n"
                          "4,d,\"\"\"\"\r\n");
  EXPECT_THAT(All(*Open({path, {}, "", "", ""})), ElementsAre("a=x", "b=two\nlines", "!", "d=\""));
  EXPECT_THAT(All(*Open({path, {}, "id", "", "key"})), ElementsAre("1=a", "2=b", "!", "4=d"));
  EXPECT_FALSE(OpenReader({path, {}, "nope", "", ""}).has_value());
  EXPECT_FALSE(OpenReader({path, {}, "", "", "nope"}).has_value());
}

TEST_F(TransferTest, CsvRowsAsJson) {
  std::string path = File("a.csv", "id,name\n1,\"x,y\"\n");
  EXPECT_THAT(All(*Open({path, {}, "", "", ""})), ElementsAre(R"(1={"id":"1","name":"x,y"})"));
}

TEST_F(TransferTest, Deb822KeepsExactBytes) {
  std::string first = "Package: a\nVersion: 1:2.0-1\nArchitecture: all\nDescription: one\n two\n";
  std::string second = "package: b\nVERSION:   3  \nArchitecture: amd64\n";
  std::string path = File("x_Packages", "\n" + first + "\n \n" + second + "\nVersion: 1\n");
  EXPECT_THAT(All(*Open({path, {}, "", "", ""})),
              ElementsAre("a_1:2.0-1_all=" + first, "b_3_amd64=" + second, "!"));
  EXPECT_THAT(All(*Open({path, {}, "", "{Description}/{package}", ""})),
              ElementsAre("one/a=" + first, "!", "!"));
}

TEST_F(TransferTest, ReadingGoesOnAtARecordsEnd) {
  std::string path = File("a.csv", "key,value\na,1\nb,\"2\n2\"\nc,3\n");
  auto reader = Open({path, {}, "", "", ""});
  Record record;
  std::string why;
  reader->Read(&record, &why);
  reader->Read(&record, &why);
  auto again = Open({path, {}, "", "", ""});
  ASSERT_TRUE(again->SkipTo(record.end).has_value());
  EXPECT_THAT(All(*again), ElementsAre("c=3"));
  EXPECT_FALSE(Open({path, {}, "", "", ""})->SkipTo(1000).has_value());
}

TEST_F(TransferTest, ALineThatIsTooLongIsOneBadRecord) {
  std::string line = R"({"key":"a","value":"1"})";
  std::string path =
      File("a.ndjson", line + "\n" + std::string(kRecordBytesMax + 5, 'x') + "\n" + line + "\n");
  EXPECT_THAT(All(*Open({path, {}, "", "", ""})), ElementsAre("a=1", "!", "a=1"));
}

TEST_F(TransferTest, TheNameTellsTheFormat) {
  EXPECT_EQ(GuessFormat("a/b.jsonl"), Format::kNdjson);
  EXPECT_EQ(GuessFormat("b.csv"), Format::kCsv);
  EXPECT_EQ(GuessFormat("deb.example_dists_bookworm_main_binary-amd64_Packages"), Format::kDeb822);
  EXPECT_EQ(GuessFormat("b.txt"), std::nullopt);
  EXPECT_FALSE(OpenReader({File("b.txt", ""), {}, "", "", ""}).has_value());
  EXPECT_FALSE(OpenReader({dir_ + "/none.csv", {}, "", "", ""}).has_value());
}

TEST(Refusals, AreThoseOfTheServer) {
  Record record;
  EXPECT_NE(Refusal(record, 1000), "");
  record.key = std::string(256, 'k');
  record.value = std::string(1048576, 'v');
  EXPECT_EQ(Refusal(record, 1000), "");
  record.key += 'k';
  EXPECT_NE(Refusal(record, 1000), "");
  record.key = "k";
  record.value += 'v';
  EXPECT_NE(Refusal(record, 1000), "");
}

TEST(Refusals, WhatHasExpiredIsNotStored) {
  Record record;
  record.key = "k";
  record.expires_ms = 1000;
  EXPECT_NE(Refusal(record, 1000), "");
  EXPECT_EQ(Refusal(record, 999), "");
  record.expires_ms = 0;  // never
  EXPECT_EQ(Refusal(record, 1000), "");
}

TEST(Expiries, BecomeATimeToLive) {
  ImportJob job({"default", "f", "", ""});
  auto ttl = [&](const Record& record) -> int64_t {
    for (const auto& [name, value] : job.Make(record).headers) {
      if (name == "X-TTL") return std::stoll(value);
    }
    return -1;
  };
  Record record;
  record.key = "k";
  EXPECT_EQ(ttl(record), -1);
  record.ttl_s = 5;
  EXPECT_EQ(ttl(record), 5);
  record.expires_ms = NowMs() + 3600000;
  EXPECT_GT(ttl(record), 3500);
  EXPECT_LE(ttl(record), 3600);
}

TEST(Template, ParsesAndExpands) {
  auto lookup = [](const std::string& field) -> std::optional<std::string> {
    if (field == "A") return "1";
    return std::nullopt;
  };
  EXPECT_EQ(*KeyTemplate::Parse("x{A}{{{A}}}")->Expand(lookup), "x1{1}");
  EXPECT_FALSE(KeyTemplate::Parse("{A}{B}")->Expand(lookup).has_value());
  for (const char* bad : {"", "plain", "{", "{A", "a}", "{}", "{{A}}"}) {
    EXPECT_FALSE(KeyTemplate::Parse(bad).has_value()) << bad;
  }
}

TEST(TrackerTest, OffsetMovesOnlyWithoutAGap) {
  Tracker tracker(10, 1);
  uint64_t a = tracker.Begin(20);
  uint64_t b = tracker.Begin(30);
  uint64_t c = tracker.Begin(40);
  tracker.End(b);
  EXPECT_EQ(tracker.offset(), 10U);
  EXPECT_EQ(tracker.window(), 3U);
  tracker.End(a);
  EXPECT_EQ(tracker.offset(), 30U);
  EXPECT_EQ(tracker.records(), 3U);
  uint64_t d = tracker.Begin(50);
  tracker.Freeze();
  tracker.End(c);
  tracker.End(d);
  EXPECT_EQ(tracker.offset(), 30U);
  EXPECT_EQ(tracker.window(), 0U);
}

TEST_F(TransferTest, StateSurvivesAndIsChecked) {
  ImportState state{"f.csv", "b", 100, 50, 5};
  std::string path = dir_ + "/state";
  auto none = LoadState(path);
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->has_value());
  ASSERT_TRUE(SaveState(path, state).has_value());
  EXPECT_EQ(**LoadState(path), state);
  EXPECT_EQ(Mismatch(state, {"f.csv", "b", 100, 0, 0}), "");
  EXPECT_THAT(Mismatch(state, {"g.csv", "b", 100, 0, 0}), HasSubstr("g.csv"));
  EXPECT_NE(Mismatch(state, {"f.csv", "c", 100, 0, 0}), "");
  EXPECT_NE(Mismatch(state, {"f.csv", "b", 101, 0, 0}), "");
  for (const char* bad : {"", "{}", "[]", R"({"file":"f","bucket":"b","size":-1})"}) {
    EXPECT_FALSE(LoadState(File("bad", bad)).has_value()) << bad;
  }
}

TEST(Idempotency, DependsOnTheRecordAndOnTheSourceOnly) {
  ImportOptions options{"default", "a.csv", "", ""};
  Record record;
  record.key = "k";
  record.value = "v";
  record.end = 10;
  std::string id = IdempotencyKey(options, record);
  EXPECT_THAT(id, ::testing::MatchesRegex("[0-9a-f]+-[0-9a-f]+-5[0-9a-f]+-[89ab][0-9a-f]+-.*"));
  EXPECT_EQ(id.size(), 36U);
  record.end = 20;
  EXPECT_EQ(IdempotencyKey(options, record), id);
  record.value = "w";
  EXPECT_NE(IdempotencyKey(options, record), id);
  record.value = "v";
  options.salt = "s";
  EXPECT_NE(IdempotencyKey(options, record), id);
  options.salt = "";
  options.bucket = "other";
  EXPECT_NE(IdempotencyKey(options, record), id);
}

TEST(Verdicts, RetryWhatMayStillBecomeGood) {
  ImportJob job({"default", "f", "", ""});
  auto kind = [&](unsigned status) { return job.Judge({}, {status, {}, ""}).kind; };
  EXPECT_EQ(kind(201), Verdict::Kind::kDone);
  for (unsigned status : {429U, 503U, 504U}) EXPECT_EQ(kind(status), Verdict::Kind::kRetry);
  for (unsigned status : {400U, 409U, 413U, 500U}) EXPECT_EQ(kind(status), Verdict::Kind::kFailed);
}

TEST(Verdicts, VerifyTellsMissingDifferentAndSiblings) {
  VerifyJob job("default", "");
  Record record;
  record.key = "k";
  record.value = "v";
  EXPECT_EQ(job.Judge(record, {200, {}, "v"}).kind, Verdict::Kind::kDone);
  EXPECT_EQ(job.Judge(record, {200, {}, "v "}).reason, "different");
  EXPECT_EQ(job.Judge(record, {404, {}, ""}).reason, "missing");
  EXPECT_EQ(job.Judge(record, {300, {}, ""}).reason, "siblings");
  EXPECT_EQ(job.Judge(record, {503, {}, ""}).kind, Verdict::Kind::kRetry);
}

TEST(ExportLines, AreWhatImportReads) {
  EXPECT_EQ(*ExportLine("k", R"({"key":"k","value":"aGk=","siblings":[],"content_type":"t/p"})"),
            R"({"key":"k","value":"hi","content_type":"t/p"})");
  EXPECT_EQ(*ExportLine("\xFF", R"({"value":"/w==","siblings":[]})"),
            R"({"key":{"base64":"/w=="},"value_base64":"/w=="})");
  EXPECT_EQ(*ExportLine("k", R"({"value":"","siblings":[],"expires":1700000000123})"),
            R"({"key":"k","value":"","expires":1700000000123})");
  EXPECT_EQ(*ExportLine("k", R"({"context":"C","siblings":[{"value":"YQ=="},{"value":"Yg=="}]})"),
            R"({"key":"k","siblings":[{"value":"a"},{"value":"b"}],"context":"C"})");
  EXPECT_FALSE(ExportLine("k", R"({"value":"?"})").has_value());
  EXPECT_FALSE(ExportLine("k", "").has_value());
}

TEST(TallyTest, CountsByReasonAndKeepsTheFirstExamples) {
  Tally tally;
  tally.Done(10);
  for (int i = 0; i < 20; ++i) tally.Failed(i % 2 == 0 ? "even" : "odd", std::to_string(i));
  std::string text = tally.Text("imported", 3, 2.0);
  EXPECT_THAT(text, HasSubstr("1 imported, 3 skipped, 20 failed"));
  EXPECT_THAT(text, HasSubstr("10 x even"));
  EXPECT_EQ(tally.Json("imported", 3, 2.0)["examples"].as_array().size(), 10U);
}

}  // namespace
}  // namespace lariat::cli::transfer
