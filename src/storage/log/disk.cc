// SPDX-License-Identifier: Apache-2.0
#include "storage/log/disk.h"

#include <set>

namespace lariat::storage::log {

base::Status BlockingWriter::WriteNow(const Group& group) {
  if (group.dirty.empty()) {
    for (const Piece& piece : group.pieces) {
      if (auto status = disk_->WriteDurably(piece.file, piece.offset, piece.bytes); !status) {
        return status;
      }
    }
    return {};
  }
  // A direct write does not make what lies in the page cache durable: one sync has to do both.
  std::set<FileNumber> files(group.dirty.begin(), group.dirty.end());
  for (const Piece& piece : group.pieces) {
    if (auto status = disk_->Write(piece.file, piece.offset, piece.bytes); !status) return status;
    files.insert(piece.file);
  }
  for (const FileNumber file : files) {
    if (auto status = disk_->Sync(file); !status) return status;
  }
  return {};
}

}  // namespace lariat::storage::log
