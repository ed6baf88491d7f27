// SPDX-License-Identifier: Apache-2.0
// The jobs: write each record, read each record back and compare, read keys and print them.
#pragma once

#include <cstdio>

#include "apps/lariat/transfer/job.h"

namespace lariat::cli::transfer {

struct ImportOptions {
  std::string bucket = "default";
  std::string source;  // the file's name without its folder: part of the idempotency key
  std::string query;   // "?w=2"
  std::string salt;    // not empty: write again what an earlier run has written
};

// A repeat of an import writes nothing twice: the Idempotency-Key is made of file name, bucket and
// record, so a record is written once in 24 hours however often it is sent.
class ImportJob : public Job {
 public:
  explicit ImportJob(ImportOptions options) : options_(std::move(options)) {}
  net::Request Make(const Record& record) override;
  Verdict Judge(const Record& record, const net::Response& response) override;

 private:
  ImportOptions options_;
};

// Version 5 in form (RFC 4122), of the parts given. Pure.
std::string IdempotencyKey(const ImportOptions& options, const Record& record);

class VerifyJob : public Job {
 public:
  VerifyJob(std::string bucket, std::string query)
      : bucket_(std::move(bucket)), query_(std::move(query)) {}
  net::Request Make(const Record& record) override;
  Verdict Judge(const Record& record, const net::Response& response) override;

 private:
  std::string bucket_;
  std::string query_;
};

// Writes one line of JSON per key to `out`, in the order of the answers.
class ExportJob : public Job {
 public:
  ExportJob(std::string bucket, std::string query, FILE* out)
      : bucket_(std::move(bucket)), query_(std::move(query)), out_(out) {}
  net::Request Make(const Record& record) override;
  Verdict Judge(const Record& record, const net::Response& response) override;
  bool write_failed() const { return write_failed_; }

 private:
  std::string bucket_;
  std::string query_;
  FILE* out_;
  bool write_failed_ = false;
};

// The line of an export for one reply of the JSON dialect; nothing if the reply is not as it should
// be. Pure.
std::optional<std::string> ExportLine(std::string_view key, std::string_view reply);

// Each line of a file is a key (without its line end).
class KeyLineReader : public RecordReader {
 public:
  using RecordReader::RecordReader;
  Next Read(Record* record, std::string* why) override;
};

// Verdicts that all jobs share: overload and unavailability are tried again, the rest has failed.
Verdict JudgeError(const net::Response& response);

}  // namespace lariat::cli::transfer
