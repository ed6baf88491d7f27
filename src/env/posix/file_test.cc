// SPDX-License-Identifier: Apache-2.0
#include "env/posix/file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace lariat::env::posix {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lariat.XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(directory_); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_;
};

TEST_F(FileTest, WritesReplaceTheWholeFile) {
  const std::string path = Path("f");
  ASSERT_TRUE(WriteFileAtomically(path, "a longer text"));
  ASSERT_TRUE(WriteFileAtomically(path, "short"));
  EXPECT_EQ(*ReadFile(path, 100), "short");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

TEST_F(FileTest, ReadsUpToTheLimitAndNoFurther) {
  const std::string path = Path("f");
  const std::string bytes(200'000, 'x');
  ASSERT_TRUE(WriteFileAtomically(path, bytes));
  EXPECT_EQ(*ReadFile(path, bytes.size()), bytes);
  EXPECT_EQ(ReadFile(path, bytes.size() - 1).error().code, base::Code::kTooLarge);
  ASSERT_TRUE(WriteFileAtomically(path, ""));
  EXPECT_EQ(*ReadFile(path, 0), "");
}

TEST_F(FileTest, ErrorsNameThePath) {
  const auto missing = ReadFile(Path("missing"), 10);
  EXPECT_EQ(missing.error().code, base::Code::kNotFound);
  EXPECT_NE(missing.error().message.find("missing"), std::string::npos);
  EXPECT_FALSE(WriteFileAtomically(Path("no/such/f"), "x"));
  EXPECT_FALSE(MakeDirectories("/proc/lariat"));
  EXPECT_FALSE(FreeBytes(Path("missing")));
}

TEST_F(FileTest, MakesDirectoriesAndTellsTheRoom) {
  ASSERT_TRUE(MakeDirectories(Path("a/b/c")));
  ASSERT_TRUE(MakeDirectories(Path("a/b/c")));
  EXPECT_TRUE(std::filesystem::is_directory(Path("a/b/c")));
  EXPECT_TRUE(FreeBytes(directory_).has_value());
}

TEST_F(FileTest, OneHolderOfADirectory) {
  {
    const auto first = DirectoryLock::Take(directory_);
    ASSERT_TRUE(first.has_value());
    const auto second = DirectoryLock::Take(directory_);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, base::Code::kConflict);
    EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos);
  }
  EXPECT_TRUE(DirectoryLock::Take(directory_).has_value());
}

}  // namespace
}  // namespace lariat::env::posix
