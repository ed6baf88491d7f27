// SPDX-License-Identifier: Apache-2.0
// The file of Engine::WriteApart, APART in the store's directory: replaced as a whole (written
// beside it, synced, renamed, the directory synced), untouched by RocksDB and by salvage.
//
// A program from before this file existed may use the store in between, and leave the file as it
// was. The file OPENED tells: it names the manifest that the last open by a program that knows both
// has left, and every open begins another manifest. docs/formats/topology.md
#pragma once

#include <rocksdb/env.h>

#include <string>

#include "base/result.h"

namespace lariat::storage::internal {

class ApartFile {
 public:
  // The environment outlives it.
  ApartFile(rocksdb::Env* env, std::string directory);

  // Before the store is opened or salvaged: finds out who had it last.
  void OnOpening();
  // When it is open. A value that is out of date is removed.
  base::Status OnOpened();

  base::Status Write(const std::string& bytes);
  base::Result<std::string> Read() const;

 private:
  std::string Manifest() const;  // of the store as it is; empty: unknown

  rocksdb::Env* env_;
  std::string directory_;
  bool out_of_date_ = false;
};

}  // namespace lariat::storage::internal
