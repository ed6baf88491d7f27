// SPDX-License-Identifier: Apache-2.0
// import, verify and export as commands, against a node that keeps what it is given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "apps/lariat/fake_node_test_util.h"
#include "apps/lariat/session.h"
#include "apps/lariat/transfer/read/second_reader.h"
#include "base/base64.h"
#include "base/prng.h"

namespace lariat::cli {
namespace {

using ::testing::ElementsAre;
using testing::FakeNode;
using testing::FakeReply;
using ::testing::HasSubstr;

struct Told {
  int exit = 0;
  std::string out, err;
};

std::string Decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  return out;
}

// The bucket `b`, as one node has it.
class Store {
 public:
  FakeReply operator()(const std::string& start, const std::string& body) {
    const std::string method = start.substr(0, start.find(' '));
    std::string path = start.substr(method.size() + 1);
    path = path.substr(0, path.find('?'));
    const bool json = path.starts_with("/v1");
    if (json) path.erase(0, 3);
    if (path == "/buckets/b") return {200, R"({"name":"b"})"};
    // As the server has it: these two are no keys.
    if (json && (path.ends_with("/batch") || path.ends_with("/range"))) return {405, "{}"};
    const std::string key = Decoded(path.substr(path.rfind('/') + 1));
    std::lock_guard lock(mutex);
    if (method == "PUT") {
      values[key] = body;
      return {201, "{}"};
    }
    if (!values.contains(key)) return {404, R"({"error":{"code":"not_found","message":"m"}})"};
    if (!json) return {200, values[key]};
    boost::json::object reply = {{"value", base::Base64Encode(values[key])},
                                 {"siblings", boost::json::array()}};
    return {200, boost::json::serialize(reply)};
  }

  std::mutex mutex;
  std::map<std::string, std::string> values;
};

class TransferCli : public ::testing::Test {
 protected:
  TransferCli()
      : node_([this](const auto& start, const auto& body) { return store_(start, body); }) {
    std::string pattern = (std::filesystem::temp_directory_path() / "lariat-tc-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~TransferCli() override { std::filesystem::remove_all(dir_); }

  std::string File(const std::string& name, std::string_view bytes) {
    std::string path = dir_ + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  static std::string Slurp(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  Told Call(std::vector<std::string> words) {
    for (const char* word : {"--node", node_.address().c_str(), "--bucket", "b"}) {
      words.emplace_back(word);
    }
    std::vector<const char*> arguments = {"lariat"};
    for (const std::string& word : words) arguments.push_back(word.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Told told;
    told.exit = Main(static_cast<int>(arguments.size()), arguments.data());
    told.out = ::testing::internal::GetCapturedStdout();
    told.err = ::testing::internal::GetCapturedStderr();
    return told;
  }
  Told Import(std::vector<std::string> words) {
    words.insert(words.begin(), "import");
    words.insert(words.end(), {"--concurrency", "4"});
    return Call(std::move(words));
  }

  Store store_;
  FakeNode node_;
  std::string dir_;
};

TEST_F(TransferCli, VerifySeesWhatAParserOfImportMayDo) {
  const std::string path = File("a.ndjson", "{\"key\":\"a\",\"value\":19.99}\n");
  EXPECT_EQ(Import({path}).exit, 0);
  EXPECT_THAT(store_.values, ElementsAre(std::pair("a", "19.99")));
  EXPECT_EQ(Import({path, "--verify"}).exit, 0);
  store_.values["a"] = "1.999E1";
  const Told told = Import({path, "--verify"});
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.out, HasSubstr(path + ":1: key 'a': 7 bytes are stored that differ"));
}

TEST_F(TransferCli, FailedRecordsHaveTheirPlace) {
  const std::string path = File("a.csv", "key,value\na,1\nb,\"2\nc,3\n,4\n");
  const std::string errors = dir_ + "/errors";
  const Told told = Import({path, "--errors", errors});
  EXPECT_EQ(told.exit, 1);
  EXPECT_THAT(told.out, HasSubstr("2 imported, 0 skipped, 2 failed"));
  EXPECT_THAT(told.out, HasSubstr(path + ":3: a quote is opened and not closed"));
  EXPECT_THAT(told.out, HasSubstr(path + ":5: the key is empty"));
  EXPECT_THAT(store_.values, ElementsAre(std::pair("a", "1"), std::pair("c", "3")));
  const std::string noted = Slurp(errors);
  EXPECT_THAT(noted, HasSubstr(R"("line":3,"key":"","reason":"malformed record")"));
  EXPECT_THAT(noted, HasSubstr(R"("line":5,"key":"","reason":"cannot be stored")"));
  EXPECT_EQ(Import({path, "--verify"}).exit, 1);
  EXPECT_EQ(Import({path, "--errors", dir_ + "/none/errors"}).exit, 2);
}

TEST_F(TransferCli, NothingAtAllIsNeverWithoutAWord) {
  for (const auto& [name, text] : {std::pair("a.ndjson", "\n \r\n\r"),
                                   {"a.csv", "key,value\r"},
                                   {"Packages", "# comment\n"},
                                   {"b.ndjson", ""}}) {
    const Told told = Import({File(name, text)});
    EXPECT_EQ(told.exit, 0) << name;
    EXPECT_THAT(told.err, HasSubstr(*text == '\0' ? "is empty" : "holds no record")) << name;
    EXPECT_THAT(Import({File(name, text), "--verify"}).err, HasSubstr(name));
  }
  EXPECT_EQ(Import({File("a.csv", "")}).exit, 2);
  EXPECT_EQ(Import({dir_, "--format", "ndjson"}).exit, 1);  // a directory
}

TEST_F(TransferCli, KeysOfAnyBytesGoInAndOut) {
  store_.values = {{"batch", "1"},
                   {"range", "2"},
                   {"a/b%c", "3"},
                   {"..", "4"},
                   {"l\nf\r", "5"},
                   {"\xFF", "\xFE"},
                   {std::string(2, '\0'), ""}};
  const auto wanted = store_.values;
  const std::string keys =
      File("keys.ndjson",
           "\"batch\"\n\"range\"\n\"a/b%c\"\n\"..\"\n\"l\\nf\\r\"\n{\"base64\":\"/"
           "w==\"}\n\"\\u0000\\u0000\"\n");
  const std::string out = dir_ + "/out.ndjson";
  ASSERT_EQ(Call({"export", "--keys", keys, "--out", out, "--concurrency", "2"}).exit, 0);
  store_.values.clear();
  ASSERT_EQ(Import({out}).exit, 0);
  EXPECT_EQ(store_.values, wanted);
  EXPECT_EQ(Import({out, "--verify"}).exit, 0);
  // An export names its own keys.
  const std::string again = dir_ + "/again.ndjson";
  ASSERT_EQ(Call({"export", "--keys", out, "--out", again, "--concurrency", "1"}).exit, 0);
  store_.values.clear();
  ASSERT_EQ(Import({again}).exit, 0);
  EXPECT_EQ(store_.values, wanted);
  EXPECT_EQ(Call({"get", "batch"}).out, "1");
  EXPECT_EQ(Call({"get", "/w==", "--key-base64"}).out, "\xFE");
  EXPECT_EQ(Call({"put", "AAo=", "", "--key-base64"}).exit, 0);
  EXPECT_EQ(store_.values.at(std::string("\0\n", 2)), "");
  EXPECT_EQ(Call({"get", "no base64", "--key-base64"}).exit, 2);
}

TEST_F(TransferCli, RandomRecordsComeBackAsTheyWere) {
  base::Prng random(11);
  auto bytes = [&](size_t least, size_t most) {
    std::string out(least + random.Next() % (most - least + 1), '\0');
    for (char& c : out)
      c = static_cast<char>(random.Next() % 3 == 0 ? random.Next()
                                                   : "\"\r\n,{}: a"[random.Next() % 9]);
    return out;
  };
  for (const char* format : {"ndjson", "csv", "deb822"}) {
    std::map<std::string, std::string> records;
    std::string text = std::string(format) == "csv" ? "key,value\n" : "";
    std::string keys;
    while (records.size() < 30) {
      const std::string number = std::to_string(records.size());
      std::string key = "k" + number + bytes(0, 20);
      std::string value = bytes(0, 300);
      auto quoted = [](const std::string& field) {
        std::string out = "\"";
        for (char c : field) out += c == '"' ? "\"\"" : std::string(1, c);
        return out + "\"";
      };
      if (std::string(format) == "ndjson") {
        text += "{\"key_base64\":\"" + base::Base64Encode(key) + "\",\"value_base64\":\"" +
                base::Base64Encode(value) + "\"}\r\n";
      } else if (std::string(format) == "csv") {
        text += quoted(key) + "," + quoted(value) + "\n";
      } else {
        for (char& c : value) c = c == '\r' || c == '\n' ? ' ' : c;
        key = "p_" + number + "_all";
        value = "Package: p\nVersion: " + number + "\nArchitecture: all\nX: " + value + "\n \n.\n";
        value.replace(value.size() - 2, 2, " .\n");
        text += value + "\n";
      }
      keys += "{\"base64\":\"" + base::Base64Encode(key) + "\"}\n";
      records[key] = value;
    }
    store_.values.clear();
    const std::string path = File("f", text);
    ASSERT_EQ(Import({path, "--format", format}).exit, 0) << format;
    ASSERT_EQ(store_.values, records) << format;
    EXPECT_EQ(Import({path, "--format", format, "--verify"}).exit, 0) << format;
    const std::string out = dir_ + "/out.ndjson";
    ASSERT_EQ(Call({"export", "--keys", File("keys.ndjson", keys), "--out", out}).exit, 0);
    store_.values.clear();
    ASSERT_EQ(Import({out}).exit, 0);
    EXPECT_EQ(store_.values, records) << format;
  }
}

}  // namespace
}  // namespace lariat::cli
