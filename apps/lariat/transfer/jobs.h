// SPDX-License-Identifier: Apache-2.0
// The jobs: write each record, read each record back and compare, read keys and print them.
#pragma once

#include <boost/json/value.hpp>
#include <functional>

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

// Writes one line of JSON per key, in the order of the answers.
class ExportJob : public Job {
 public:
  // False: no more can be written.
  using Write = std::function<bool(std::string_view line)>;
  ExportJob(std::string bucket, std::string query, Write write)
      : bucket_(std::move(bucket)), query_(std::move(query)), write_(std::move(write)) {}
  net::Request Make(const Record& record) override;
  Verdict Judge(const Record& record, const net::Response& response) override;

 private:
  std::string bucket_;
  std::string query_;
  Write write_;
};

// The line of an export for one reply of the JSON dialect; nothing if the reply is not as it should
// be. Pure.
std::optional<std::string> ExportLine(std::string_view key, std::string_view reply);
// The same of a reply, or of one of the pairs of a list.
std::optional<std::string> ExportLineOf(std::string_view key, const boost::json::value& shown);

// The keys that a file names, one on each line: as their bytes (without the line end), or as JSON:
// a string, {"base64": "..."}, or an object that import takes.
class KeyReader : public FileReader {
 public:
  enum class Form : uint8_t { kBytes, kJson };
  KeyReader(std::unique_ptr<LineSource> source, Form form)
      : FileReader(std::move(source)), form_(form) {}
  Next Read(Record* record, std::string* why) override;

 private:
  Form form_;
};

// Verdicts that all jobs share: overload and unavailability are tried again, the rest has failed.
Verdict JudgeError(const net::Response& response);

}  // namespace lariat::cli::transfer
