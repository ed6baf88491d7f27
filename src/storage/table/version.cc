// SPDX-License-Identifier: Apache-2.0
#include "storage/table/version.h"

#include <algorithm>
#include <limits>
#include <new>

#include "base/check.h"

namespace lariat::storage::table {

static_assert(sizeof(Version) == 40, "as drawn in the header: it counts once for each entry");

Version::Version(std::string_view key, std::string_view bytes, bool absent, uint64_t lsn)
    : key_size_(static_cast<uint32_t>(key.size())),
      value_size_(static_cast<uint32_t>(bytes.size())),
      absent_(absent),
      lsn_(lsn) {
  char* data = reinterpret_cast<char*>(this + 1);
  std::copy(bytes.begin(), bytes.end(), std::copy(key.begin(), key.end(), data));
}

VersionRef Version::Make(std::string_view key, std::string_view bytes, bool absent, uint64_t lsn) {
  constexpr size_t kSizeMax = std::numeric_limits<uint32_t>::max();
  LARIAT_CHECK(key.size() <= kSizeMax, "keys are limited far below 4 GiB");
  LARIAT_CHECK(bytes.size() <= kSizeMax, "records are limited far below 4 GiB");
  void* block = ::operator new(sizeof(Version) + key.size() + bytes.size());
  VersionRef made;
  made.version_ = new (block) Version(key, bytes, absent, lsn);
  return made;
}

VersionRef Version::Record(std::string_view key, std::string_view bytes, uint64_t lsn) {
  return Make(key, bytes, false, lsn);
}

VersionRef Version::Absent(std::string_view key, uint64_t lsn) { return Make(key, {}, true, lsn); }

void Version::Free() const {
  this->~Version();
  ::operator delete(const_cast<Version*>(this));
}

}  // namespace lariat::storage::table
