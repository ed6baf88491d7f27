// SPDX-License-Identifier: Apache-2.0
// The engine against real processes and real file systems: kill -9, the lock, a full disk.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "storage/engine_test_calls.h"
#include "storage/rocksdb/internal/open.h"
#include "storage/rocksdb/rocksdb_engine.h"
#include "storage/rocksdb/test_world.h"

namespace lariat::storage {
namespace {

using base::Code;
using contract::PutOne;
using contract::SyncAndWait;
using internal::Eventually;
using internal::OpenUnderTest;
using internal::SharedQueue;
using internal::TempDirectory;

constexpr char kDirectoryVariable[] = "LARIAT_TEST_DIRECTORY";
constexpr char kStepVariable[] = "LARIAT_TEST_STEP";

RocksOptions SmallOptions(const std::string& directory) {
  RocksOptions options;
  options.directory = directory;
  options.block_cache_bytes = 8 << 20;
  options.memtable_bytes = 256 << 10;  // flushes while it runs
  options.disk_reserve_bytes = 1 << 20;
  return options;
}

std::string Key(int i) { return "key" + std::to_string(i); }

// Not a test: what the child process of the tests below runs. Writes keys one after the other and
// prints the number of each as soon as it is durable, until it is killed.
TEST(ChildProcess, WriteAndTell) {
  const char* directory = getenv(kDirectoryVariable);
  if (directory == nullptr) GTEST_SKIP() << "only the tests below run this, in a child process";
  const auto engine = OpenUnderTest(SmallOptions(directory)).value();
  SharedQueue queue;
  int durable = 0;
  for (int i = 0; i < 1000000; ++i) {
    while (!PutOne(engine.get(), Space::kData, Key(i), std::string(500, 'v')).has_value()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    engine->Sync(&queue, [&durable, i](base::Status status) {
      if (!status.has_value()) return;
      ++durable;
      const std::string line = "durable " + std::to_string(i) + "\n";
      if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(1);
    });
    queue.RunUntil([&] { return durable + 32 > i; });
  }
}

// Kills the process instead of the step with this number, of those that change the disk.
class DeadlyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit DeadlyFileSystem(int steps)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), steps_(steps) {}
  const char* Name() const override { return "DeadlyFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    Step();
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, debug);
    if (status.ok()) *file = std::make_unique<File>(std::move(*file), this);
    return status;
  }
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override {
    Step();  // what is opened is synced next
    return FileSystemWrapper::NewDirectory(name, options, directory, debug);
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    Step();
    return FileSystemWrapper::RenameFile(from, to, options, debug);
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    Step();
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }
  rocksdb::IOStatus LockFile(const std::string& name, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* debug) override {
    Step();
    return FileSystemWrapper::LockFile(name, options, lock, debug);
  }
  void Step() {
    if (--steps_ == 0) kill(getpid(), SIGKILL);
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> file, DeadlyFileSystem* owner)
        : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner) {}
    using FSWritableFileOwnerWrapper::Append;
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      owner_->Step();
      return FSWritableFileOwnerWrapper::Append(data, options, debug);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
      owner_->Step();
      return FSWritableFileOwnerWrapper::Sync(options, debug);
    }

   private:
    DeadlyFileSystem* owner_;
  };

  std::atomic<int> steps_;
};

// Not a test either: creates a store, and is killed at the step that it is told.
TEST(ChildProcess, CreateUntilKilled) {
  const char* directory = getenv(kDirectoryVariable);
  const char* step = getenv(kStepVariable);
  if (directory == nullptr || step == nullptr) GTEST_SKIP() << "as above";
  int steps = 0;
  std::from_chars(step, step + strlen(step), steps);
  const auto env = rocksdb::NewCompositeEnv(std::make_shared<DeadlyFileSystem>(steps));
  auto engine = internal::OpenUnderTest(SmallOptions(directory), env.get()).value();
  ASSERT_TRUE(PutOne(engine.get(), Space::kMeta, "identity", "me").has_value());
  SharedQueue queue;
  ASSERT_TRUE(SyncAndWait(engine.get(), &queue).has_value());
}

TEST(ProcessTest, ACreationThatWasKilledAtAnyStepIsDoneAgain) {
  bool killed = true;
  int steps = 0;
  while (killed) {
    const TempDirectory directory;
    ++steps;
    const pid_t child = fork();
    if (child == 0) {
      setenv(kDirectoryVariable, directory.path().c_str(), 1);
      setenv(kStepVariable, std::to_string(steps).c_str(), 1);
      (void)freopen("/dev/null", "w", stdout);
      execl("/proc/self/exe", "child", "--gtest_filter=ChildProcess.CreateUntilKilled", nullptr);
      _exit(127);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    killed = WIFSIGNALED(status);
    ASSERT_TRUE(killed || WEXITSTATUS(status) == 0) << status;
    const auto engine = OpenUnderTest(SmallOptions(directory.path()));
    ASSERT_TRUE(engine.has_value())
        << "after a kill at step " << steps << ": " << engine.error().message;
    EXPECT_FALSE((*engine)->Stats().salvaged);
    EXPECT_FALSE((*engine)->Stats().log_truncated);
    SharedQueue queue;
    ASSERT_TRUE(PutOne(engine->get(), Space::kData, Key(1), "v").has_value());
    ASSERT_TRUE(SyncAndWait(engine->get(), &queue).has_value());
  }
  EXPECT_GT(steps, 30);
}

class Child {
 public:
  explicit Child(const std::string& directory) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      setenv(kDirectoryVariable, directory.c_str(), 1);
      execl("/proc/self/exe", "child", "--gtest_filter=ChildProcess.WriteAndTell", nullptr);
      _exit(127);
    }
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Child() {
    Kill();
    if (output_ != nullptr) fclose(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The next key that the child says is durable; -1 when it says nothing more.
  int NextDurable() {
    char line[256];
    while (output_ != nullptr && fgets(line, sizeof line, output_) != nullptr) {
      const std::string_view text(line);
      if (!text.starts_with("durable ") || !text.ends_with('\n')) continue;
      int key = -1;
      std::from_chars(text.data() + 8, text.data() + text.size(), key);
      return key;
    }
    return -1;
  }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
};

// Guards M3: 3 kills.
TEST(ProcessTest, KillNineLosesNothingThatWasAcknowledged) {
  const TempDirectory directory;
  int last = -1;
  for (const int until : {50, 700, 2000}) {
    Child child(directory.path());
    int key = 0;
    while (key < until) {
      key = child.NextDurable();
      ASSERT_GE(key, 0) << "the child stopped by itself";
    }
    child.Kill();
    last = key;
    for (int more = child.NextDurable(); more >= 0; more = child.NextDurable()) last = more;
    const auto engine = OpenUnderTest(SmallOptions(directory.path())).value();
    for (int i = 0; i <= last; ++i) {
      ASSERT_TRUE(engine->GetBlocking(Space::kData, Key(i)).has_value())
          << Key(i) << " of " << last;
    }
  }
}

TEST(ProcessTest, ADirectoryInUseByAnotherProcessIsRefused) {
  const TempDirectory directory;
  Child child(directory.path());
  ASSERT_GE(child.NextDurable(), 0);
  const auto second = OpenUnderTest(SmallOptions(directory.path()));
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_NE(second.error().message.find("another process"), std::string::npos);
  EXPECT_GE(child.NextDurable(), 0) << "the first goes on undisturbed";
}

// A file system of 24 MiB.
class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = mount("lariat-test", directory_.path().c_str(), "tmpfs", 0, "size=24m") == 0;
    if (!mounted_) why_ = strerror(errno);
  }
  ~SmallDisk() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& why() const { return why_; }
  std::string data() const { return directory_.path() + "/data"; }
  std::string ballast() const { return directory_.path() + "/ballast"; }
  // Fills the disk to the last byte.
  void Fill() const {
    std::ofstream file(ballast(), std::ios::binary);
    const std::string block(64 << 10, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }

 private:
  TempDirectory directory_;
  bool mounted_ = false;
  std::string why_;
};

// Writes and syncs until the engine refuses; gives the number of acknowledged writes and the error.
std::pair<int, base::Error> WriteUntilRefused(Engine* engine) {
  SharedQueue queue;
  for (int durable = 0;;) {
    base::Status status = PutOne(engine, Space::kData, Key(durable), std::string(20000, 'v'));
    if (status.has_value()) status = SyncAndWait(engine, &queue);
    if (status.has_value()) {
      ++durable;
    } else if (status.error().code == Code::kStalled) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } else {
      return {durable, status.error()};
    }
  }
}

bool HasAll(Engine* engine, int count) {
  for (int i = 0; i < count; ++i) {
    if (!engine->GetBlocking(Space::kData, Key(i)).has_value()) return false;
  }
  return true;
}

// Guards M38.
TEST(SmallDiskTest, WritesAreRefusedReadsGoOnAndItResumesByItself) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << disk.why();
  const RocksOptions options = SmallOptions(disk.data());
  auto engine = OpenUnderTest(options).value();
  SharedQueue queue;
  ASSERT_TRUE(PutOne(engine.get(), Space::kMeta, "before", "v").has_value());
  for (int round = 0; round < 3; ++round) {
    disk.Fill();
    EXPECT_EQ(WriteUntilRefused(engine.get()).second.code, Code::kDiskFull);
    EXPECT_EQ(engine->health(), Health::kDiskFull);
    EXPECT_TRUE(engine->GetBlocking(Space::kMeta, "before").has_value());
    EXPECT_TRUE(SyncAndWait(engine.get(), &queue).has_value());

    std::filesystem::remove(disk.ballast());
    ASSERT_TRUE(Eventually([&] { return engine->health() != Health::kDiskFull; }));
    ASSERT_EQ(engine->health(), Health::kOk);
    ASSERT_TRUE(PutOne(engine.get(), Space::kMeta, "after", "v").has_value());
    ASSERT_TRUE(SyncAndWait(engine.get(), &queue).has_value());
  }
  engine.reset();
  engine = OpenUnderTest(options).value();
  EXPECT_TRUE(engine->GetBlocking(Space::kMeta, "after").has_value());
}

TEST(SmallDiskTest, TheEnginesOwnDataStopAtTheReserve) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << disk.why();
  RocksOptions options = SmallOptions(disk.data());
  options.memtable_bytes = 64 << 20;  // only the log grows
  options.disk_reserve_bytes = 3 << 20;
  auto engine = OpenUnderTest(options).value();
  const auto [durable, error] = WriteUntilRefused(engine.get());
  EXPECT_EQ(error.code, Code::kDiskFull) << error.message;
  EXPECT_GT(durable, 500);
  EXPECT_TRUE(HasAll(engine.get(), durable)) << "reads go on";
  EXPECT_GT(std::filesystem::space(disk.data()).available, 2U << 20);
  engine.reset();
  engine = OpenUnderTest(options).value();
  EXPECT_TRUE(HasAll(engine.get(), durable));
}

TEST(SmallDiskTest, WhatIsDeletedOnAFullDiskIsFreed) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << disk.why();
  RocksOptions options = SmallOptions(disk.data());
  options.compression = "none";
  options.disk_reserve_bytes = 3 << 20;
  auto engine = OpenUnderTest(options).value();
  const auto [durable, error] = WriteUntilRefused(engine.get());
  ASSERT_EQ(error.code, Code::kDiskFull) << error.message;
  SharedQueue queue;
  for (int i = 0; i < durable; ++i) {
    WriteBatch tombstone;
    tombstone.Put(Space::kData, Key(i), "deleted");
    tombstone.is_delete = true;
    ASSERT_TRUE(Eventually([&] { return engine->Write(tombstone).has_value(); })) << i;
  }
  ASSERT_TRUE(SyncAndWait(engine.get(), &queue).has_value());
  ASSERT_TRUE(Eventually([&] { return engine->health() == Health::kOk; }))
      << engine->Stats().disk_free_bytes;
  // It is freed bit by bit, by compactions that have little room themselves.
  int again = 0;
  EXPECT_TRUE(Eventually([&] {
    again += WriteUntilRefused(engine.get()).first;
    return again > durable / 4;
  })) << again;
  engine.reset();
  EXPECT_TRUE(HasAll(OpenUnderTest(options).value().get(), durable));
}

// Flushes and compactions may then take the last bytes, and whether they or the log meet the end
// first is open. Neither may abort the process or forget what was acknowledged.
// Guards M37, M38.
TEST(SmallDiskTest, WithoutAReserveItStopsInOrder) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << disk.why();
  RocksOptions options = SmallOptions(disk.data());
  options.compression = "none";
  options.disk_reserve_bytes = 0;
  auto engine = OpenUnderTest(options).value();
  const auto [durable, error] = WriteUntilRefused(engine.get());
  EXPECT_TRUE(error.code == Code::kDiskFull || error.code == Code::kIo) << error.message;
  EXPECT_NE(engine->health(), Health::kOk);
  EXPECT_TRUE(HasAll(engine.get(), durable)) << "reads go on";
}

TEST(SmallDiskTest, AFullDiskRefusesToStartInClearWords) {
  const SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << disk.why();
  RocksOptions options = SmallOptions(disk.data());
  OpenUnderTest(options).value().reset();
  disk.Fill();
  const auto opened = OpenUnderTest(options);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, Code::kDiskFull);
  std::filesystem::remove(disk.ballast());
  EXPECT_TRUE(OpenUnderTest(options).has_value());
}

}  // namespace
}  // namespace lariat::storage
