// SPDX-License-Identifier: Apache-2.0
// What stands in a file is what is stored, or it is counted as failed with its place; and the
// second reading, which --verify uses, sees the same records as the first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "apps/lariat/transfer/jobs.h"
#include "apps/lariat/transfer/read/csv_reader.h"
#include "apps/lariat/transfer/read/json_line.h"
#include "apps/lariat/transfer/read/second_reader.h"
#include "base/base64.h"
#include "base/prng.h"

namespace lariat::cli::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Next = RecordReader::Next;

class SourceText : public ::testing::Test {
 protected:
  SourceText() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lariat-src-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~SourceText() override { std::filesystem::remove_all(dir_); }

  ReaderOptions File(const std::string& name, std::string_view bytes) {
    std::string path = dir_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return {path, {}, "", "", ""};
  }
  // Each record as "line:key=value", each bad one as "line:!".
  static std::vector<std::string> All(RecordReader& reader) {
    std::vector<std::string> out;
    Record record;
    std::string why;
    for (Next next; (next = reader.Read(&record, &why)) != Next::kEnd;) {
      if (next == Next::kBroken) return {"broken: " + why};
      out.push_back(std::to_string(record.line) + ":" +
                    (next == Next::kBad ? "!" : record.key + "=" + record.value));
    }
    return out;
  }
  // What both readings see; a failure if they do not agree.
  static std::vector<std::string> Read(const ReaderOptions& options) {
    auto first = OpenReader(options);
    auto second = OpenSecondReader(options);
    EXPECT_TRUE(first.has_value()) << (first ? "" : first.error().message);
    EXPECT_TRUE(second.has_value()) << (second ? "" : second.error().message);
    if (!first || !second) return {"not opened"};
    auto records = All(**first);
    EXPECT_EQ(All(**second), records);
    return records;
  }

  std::string dir_;
};

TEST_F(SourceText, NumbersKeepTheirDigits) {
  EXPECT_THAT(Read(File("a.ndjson", R"({"key":1,"value":19.99})"
                                    "\n"
                                    R"({"key":1.0,"value":12345678901234567890123})"
                                    "\n"
                                    R"({"key":10000000000000000000001,"value":-0.10E+2})"
                                    "\n"
                                    R"({"key":10000000000000000000002,"value":0})")),
              ElementsAre("1:1=19.99", "2:1.0=12345678901234567890123",
                          "3:10000000000000000000001=-0.10E+2", "4:10000000000000000000002=0"));
}

TEST_F(SourceText, NestedValuesKeepTheirBytes) {
  EXPECT_THAT(Read(File("a.ndjson",
                        R"({ "value" : { "b": 1.50,  "a": [1e2, "\u0041"], "b": 2 } , "key":"k"})"
                        "\n"
                        R"({"key":"s","value":"\u00e9\ud83d\ude00\u0000\/\n"})"
                        "\n"
                        R"({"key":true,"value":null})")),
              ElementsAre(R"(1:k={ "b": 1.50,  "a": [1e2, "\u0041"], "b": 2 })",
                          std::string("2:s=\xC3\xA9\xF0\x9F\x98\x80\0/\n", 13), "3:true=null"));
}

TEST_F(SourceText, WhatIsNoRecordIsBad) {
  const char* bad[] = {R"({"key":null,"value":1})",
                       R"({"key":[1],"value":1})",
                       R"({"key":{"a":1},"value":1})",
                       R"({"key":{"base64":"?"},"value":1})",
                       R"({"key":"a","key":"b","value":1})",
                       R"({"key":"a","value":1,"value":2})",
                       R"({"key":"a","value":1,"value_base64":"AA=="})",
                       R"({"key":"a","value":1,"ttl":1.5})",
                       R"({"key":"a","value":1,"ttl":99999999999999999999})",
                       R"({"key":"a","value":1,"ttl":"1"})",
                       R"({"key":"a","value":"\ud800"})",
                       R"({"key":"a","value":01})",
                       R"({"key":"a","value":1)",
                       R"({"key":"a","value":1} {})",
                       R"({"key":"a" "value":1})",
                       R"({"key":"a","value":1,})",
                       R"([{"key":"a","value":1}])",
                       "{\"key\":\"\xFF\",\"value\":1}"};
  std::string text;
  std::vector<std::string> wanted;
  for (const char* line : bad) {
    text += std::string(line) + "\n";
    wanted.push_back(std::to_string(wanted.size() + 1) + ":!");
  }
  EXPECT_EQ(Read(File("a.ndjson", text)), wanted);
}

TEST_F(SourceText, AWholeLineIsTheUsersOwn) {
  ReaderOptions options =
      File("a.jsonl", R"({"id": 7.50, "ttl": "no number", "content_type": 5} )");
  options.key_field = "id";
  EXPECT_THAT(Read(options),
              ElementsAre(R"(1:7.50={"id": 7.50, "ttl": "no number", "content_type": 5} )"));
}

TEST_F(SourceText, AByteOrderMarkIsPassedOver) {
  EXPECT_THAT(Read(File("a.ndjson", "\xEF\xBB\xBF{\"key\":\"a\",\"value\":1}")),
              ElementsAre("1:a=1"));
  EXPECT_THAT(Read(File("a.csv", "\xEF\xBB\xBFkey,value\na,1\n")), ElementsAre("2:a=1"));
  EXPECT_THAT(Read(File("Packages", "\xEF\xBB\xBFPackage: a\nVersion: 1\nArchitecture: all\n")),
              ElementsAre("1:a_1_all=Package: a\nVersion: 1\nArchitecture: all\n"));
  KeyReader keys(std::move(*LineSource::Open(File("keys",
                                                  "\xEF\xBB\xBF"
                                                  "a\n")
                                                 .path)),
                 KeyReader::Form::kBytes);
  EXPECT_THAT(All(keys), ElementsAre("1:a="));
  // Of less than a whole mark nothing is lost.
  EXPECT_THAT(Read(File("b.csv", "\xEF\xBBkey,value\na,1\n")), ElementsAre("2:a=1"));
  for (const char* wide : {"\xFF\xFE{", "\xFE\xFF"}) {
    auto reader = OpenReader(File("w.ndjson", wide));
    ASSERT_FALSE(reader.has_value());
    EXPECT_THAT(reader.error().message, HasSubstr("UTF-16"));
  }
}

TEST_F(SourceText, AllLineEndsAlsoMixed) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    EXPECT_THAT(Read(File("a.csv", "key,value" + end + "a,1" + end + "b,2" + end)),
                ElementsAre("2:a=1", "3:b=2"));
    const std::string fields = "Package: a" + end + "Version: 1" + end + "Architecture: all" + end;
    EXPECT_THAT(Read(File("Packages", fields + end + end + fields)),
                ElementsAre("1:a_1_all=" + fields, "6:a_1_all=" + fields));
  }
  EXPECT_THAT(Read(File("a.ndjson",
                        "{\"key\":1,\"value\":1}\r{\"key\":2,\"value\":2}\r\n\r"
                        "{\"key\":3,\"value\":3}\n{\"key\":4,\"value\":4}\r")),
              ElementsAre("1:1=1", "2:2=2", "4:3=3", "5:4=4"));
}

TEST_F(SourceText, AStrayQuoteCostsItsOwnLine) {
  EXPECT_THAT(
      Read(File("a.csv",
                "key,value\n"
                "a,1\n"
                "b,\"never closed\n"
                "c,\"3\"\n"
                "d,in\"side\n"
                "e,\"two\nlines\"\n"
                "f,\"closed\"x\n"
                "g,\"last\n"
                "h,8\n")),
      ElementsAre("2:a=1", "3:!", "4:c=3", "5:!", "6:e=two\nlines", "8:!", "9:!", "10:h=8"));
  auto reader = OpenReader(File("b.csv", "key,value\nb,\"never closed\nc,\"3\"\n"));
  Record record;
  std::string why;
  ASSERT_EQ((*reader)->Read(&record, &why), Next::kBad);
  EXPECT_EQ(record.line, 2U);
  EXPECT_THAT(why, HasSubstr("reading goes on at line 3"));
  // A resumed run goes on there too.
  auto again = OpenReader(File("b.csv", "key,value\nb,\"never closed\nc,\"3\"\n"));
  ASSERT_TRUE((*again)->SkipTo(record.end).has_value());
  EXPECT_THAT(All(**again), ElementsAre("3:c=3"));
}

TEST_F(SourceText, AnOpenQuoteIsLookedForNoFurtherThanARecordCanReach) {
  std::string text = "key,value\na,\"open\n";
  const std::string row = "b," + std::string(1000, 'x') + "\n";
  const size_t rows = kRecordBytesMax / row.size() + 100;
  for (size_t i = 0; i < rows; ++i) text += row;
  const auto records = Read(File("a.csv", text + "c,\"1\"\n"));
  ASSERT_EQ(records.size(), rows + 2);
  EXPECT_EQ(records[0], "2:!");
  EXPECT_EQ(records[1], "3:b=" + std::string(1000, 'x'));
  EXPECT_EQ(records.back(), std::to_string(rows + 3) + ":c=1");
}

TEST_F(SourceText, CsvColumnsOfOneName) {
  for (const char* header : {"key,value,value\n", "key,key,value\n", "a,b,b\n"}) {
    auto reader = OpenReader(File("a.csv", header));
    ASSERT_FALSE(reader.has_value()) << header;
    EXPECT_THAT(reader.error().message, HasSubstr("two columns"));
  }
  EXPECT_THAT(Read(File("a.csv", "key,value,x,x\na,1,2,3\n")), ElementsAre("2:a=1"));
}

TEST_F(SourceText, CsvRowsAsJsonAreJson) {
  EXPECT_THAT(Read(File("a.csv", "id,t\n1,\"q\"\"\\\n\x01/\"\n2,\xFF\n")),
              ElementsAre("2:1={\"id\":\"1\",\"t\":\"q\\\"\\\\\\n\\u0001/\"}", "4:!"));
}

TEST_F(SourceText, Deb822IsWholeOrBad) {
  const std::string head = "Package: a\nVersion: 1\nArchitecture: all\n";
  for (const std::string rest :
       {"Description: x\n one\n \n two\n", "Description: x\n\t\n .\nTag: y\n", "X:\n  \t \n",
        "# a comment\nX: 1\n#another\n y\n", "X: caf\xE9\n", "X: no line end"}) {
    EXPECT_THAT(Read(File("Packages", head + rest)), ElementsAre("1:a_1_all=" + head + rest));
  }
  for (const std::string& bad :
       {head + "continues nothing\n", head + " \n" + head, head + ": no name\n", " x\n" + head,
        head + "two words: 1\n", head + "-----BEGIN\n", std::string("Package: a\n")}) {
    EXPECT_THAT(Read(File("Packages", "\n" + bad + "\n\n" + head)),
                ElementsAre("2:!", ::testing::EndsWith("a_1_all=" + head)))
        << bad;
  }
  EXPECT_THAT(Read(File("Packages", "# only\n# comments\n\n \n" + head)),
              ElementsAre("5:a_1_all=" + head));
}

TEST_F(SourceText, KeysOfAnyBytes) {
  auto open = [&](std::string_view bytes, KeyReader::Form form) {
    return KeyReader(std::move(*LineSource::Open(File("keys", bytes).path)), form);
  };
  KeyReader bytes = open("a b\r\n\n{\"\xFF\nbatch", KeyReader::Form::kBytes);
  EXPECT_THAT(All(bytes), ElementsAre("1:a b=", "3:{\"\xFF=", "4:batch="));
  KeyReader json = open(
      "\"a\\nb\\u0000\"\n{\"base64\":\"AP8=\"}\n{\"key\":7.0,\"value\":1}\n{\"key_base64\":\"/"
      "w==\"}\n"
      "{\"key\":{\"base64\":\"AA==\"}}\nplain\n{}\n",
      KeyReader::Form::kJson);
  EXPECT_THAT(All(json), ElementsAre(std::string("1:a\nb\0=", 7), std::string("2:\0\xFF=", 5),
                                     "3:7.0=", "4:\xFF=", std::string("5:\0=", 4), "6:!", "7:!"));
}

// --- random files ------------------------------------------------------------------------------

class Random {
 public:
  explicit Random(uint64_t seed) : prng_(seed) {}
  uint64_t Below(uint64_t n) { return prng_.Next() % n; }
  template <size_t N>
  std::string_view Pick(const std::string_view (&pieces)[N]) {
    return pieces[Below(N)];
  }
  // Pieces that mean something to some format, and any bytes.
  std::string Text(size_t pieces) {
    static constexpr std::string_view kPieces[] = {
        "a",    "b",       "\"",  "\"\"",     ",",          "\n",
        "\r",   "\r\n",    " ",   "\t",       ":",          "{",
        "}",    "[",       "]",   "\\",       "\\u",        "\\n",
        "0",    "-1.5e3",  "key", "value",    "null",       "#",
        "x:",   "\n\n",    "\n ", "\"key\":", "\"value\":", "\xEF\xBB\xBF",
        "\xFF", "\xC3\xA9"};
    std::string out;
    while (pieces-- > 0) out += Pick(kPieces);
    return out;
  }
  std::string End() {
    static constexpr std::string_view kEnds[] = {"\n", "\r\n", "\r"};
    return std::string(Pick(kEnds));
  }

 private:
  base::Prng prng_;
};

std::string CsvQuoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

// A record that should be stored, or none of a sort, written in the format; what it should be.
struct Written {
  std::string text;
  std::string key, value;
};

Written RandomRecord(Random& random, Format format, size_t number) {
  Written w;
  const std::string end = random.End();
  w.key = "k" + std::to_string(number);
  if (format == Format::kCsv) {
    w.key += random.Text(2);
    w.value = random.Text(random.Below(6));
    w.text = CsvQuoted(w.key) + "," + CsvQuoted(w.value) + end;
  } else if (format == Format::kNdjson) {
    w.key += random.Text(2);
    w.value = random.Text(random.Below(6));
    w.text = "{\"key_base64\":\"" + base::Base64Encode(w.key) + "\",\"value_base64\":\"" +
             base::Base64Encode(w.value) + "\"}" + end;
    if (random.Below(2) == 0) {
      static constexpr std::string_view kValues[] = {
          "19.99", "[1, 2.50]", "{\"a\" :1.0}", "12345678901234567890123", "-0.0", "1E5", "\"x\""};
      const std::string source(random.Pick(kValues));
      w.key = std::to_string(number) + ".0";
      w.value = source == "\"x\"" ? "x" : source;
      w.text = "{\"key\": " + w.key + " , \"value\" : " + source + " }" + end;
    }
  } else {
    w.key += "_1_all";
    w.value = "Package: k" + std::to_string(number) + end + "Version: 1" + end +
              "Architecture: all" + end;
    for (size_t lines = random.Below(4); lines > 0; --lines) {
      static constexpr std::string_view kMore[] = {" one", " ",         "\t",   " .",
                                                   "# c",  "\ttab\xFF", " a: b"};
      w.value += std::string(random.Pick(kMore)) + end;
    }
    w.text = w.value + end;
  }
  return w;
}

TEST_F(SourceText, RandomRecordsAreReadAsTheyWereWritten) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    const Format format = static_cast<Format>(seed % 3);
    std::string text = format == Format::kCsv ? "key,value\n" : "";
    std::vector<std::string> wanted;
    for (size_t i = 0; i < 20; ++i) {
      const Written w = RandomRecord(random, format, i);
      text += w.text;
      wanted.push_back(w.key + "=" + w.value);
    }
    ReaderOptions options = File("f", text);
    options.format = format;
    auto records = Read(options);
    for (std::string& record : records) record.erase(0, record.find(':') + 1);
    ASSERT_EQ(records, wanted) << "seed " << seed;
  }
}

// Whatever stands in a file, both readings see the same records at the same places.
TEST_F(SourceText, BothReadingsAgreeOnAnything) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    Random random(seed);
    const Format format = static_cast<Format>(seed % 3);
    std::string text = format == Format::kCsv ? "key,value,x\n" : "";
    for (size_t i = 0; i < 8; ++i) {
      std::string piece =
          random.Below(3) == 0 ? random.Text(8) : RandomRecord(random, format, i).text;
      if (!piece.empty() && random.Below(3) == 0) piece[random.Below(piece.size())] = '"';
      text += piece;
    }
    ReaderOptions options = File("f", text);
    options.format = format;
    if (random.Below(3) == 0)
      options.key_template = format == Format::kDeb822 ? "{package}" : "{key}";
    Read(options);
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ": " << text;
  }
}

}  // namespace
}  // namespace lariat::cli::transfer
