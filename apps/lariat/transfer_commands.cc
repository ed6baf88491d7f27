// SPDX-License-Identifier: Apache-2.0
// import (and import --verify), export.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/text.h"
#include "apps/lariat/transfer/export_bucket.h"
#include "apps/lariat/transfer/jobs.h"
#include "apps/lariat/transfer/out_file.h"
#include "apps/lariat/transfer/pump.h"
#include "apps/lariat/transfer/read/second_reader.h"
#include "apps/lariat/transfer/state_file.h"
#include "base/base64.h"

namespace lariat::cli {

namespace {

using transfer::ImportState;
using transfer::KeyReader;
using transfer::OutFile;
using transfer::Pump;
using transfer::PumpOptions;
using transfer::Tracker;

struct TransferOptions {
  transfer::ReaderOptions reader;
  std::string format;
  std::string bucket = "default";
  std::optional<uint32_t> w, r;
  std::string consistency;
  uint32_t timeout_ms = 5000;
  uint32_t concurrency = 32;
  uint32_t give_up_s = 60;
  std::optional<uint64_t> max_errors;
  std::string resume, out, errors, keys_format;
  bool verify = false;
  bool exporting = false;
  bool each_node = false;
  bool rewrite = false;
};
using TransferOptionsPtr =
    std::shared_ptr<TransferOptions>;  // shared by the parser's callbacks of one command

std::string TransferQuery(const TransferOptions& o) {
  std::vector<std::pair<std::string, std::string>> q;
  if (o.w) q.emplace_back("w", std::to_string(*o.w));
  if (o.r) q.emplace_back("r", std::to_string(*o.r));
  q.emplace_back("timeout_ms", std::to_string(o.timeout_ms));
  return net::QueryString(q);
}

std::string SourceName(const TransferOptions& o) {
  return o.reader.path == "-" ? "standard input" : o.reader.path;
}

PumpOptions PumpFor(const Common& common, const TransferOptions& o,
                    std::vector<net::Address> nodes) {
  PumpOptions pump;
  pump.nodes = std::move(nodes);
  pump.concurrency = o.concurrency;
  const net::Limits limits = common.Limits(std::chrono::milliseconds(o.timeout_ms + 1000));
  pump.waits = {limits.connect, limits.total};
  pump.authorization = limits.authorization;
  pump.trust = limits.trust;
  pump.give_up = std::chrono::seconds(o.give_up_s);
  // A check is worth more when it counts everything.
  pump.errors_max = o.max_errors.value_or(o.verify || o.exporting ? UINT64_MAX : 1000);
  pump.source = SourceName(o);
  return pump;
}

// Where the failed records of one run are noted, one line of JSON each; nothing if nobody asked.
std::unique_ptr<OutFile> NoteFailures(const TransferOptions& o, OutFile::Mode mode,
                                      PumpOptions* pump) {
  if (o.errors.empty()) return nullptr;
  auto file = std::make_unique<OutFile>(o.errors, mode);
  pump->on_failed = [to = file.get(), source = pump->source](const transfer::Record& record,
                                                             const std::string& reason,
                                                             const std::string& detail) {
    boost::json::object line = {{"file", source}, {"line", record.line}};
    if (IsUtf8(record.key)) line["key"] = record.key;
    if (!IsUtf8(record.key)) line["key"] = {{"base64", base::Base64Encode(record.key)}};
    line["reason"] = reason;
    line["detail"] = detail;
    to->Write(boost::json::serialize(line) + "\n");
  };
  return file;
}

// The exit code of a run, if what was written beside it could not be written to its end.
Exit Closed(Exit exit, OutFile* file) {
  if (file == nullptr) return exit;
  file->Close();
  return file->error().empty() ? exit : Complain(Exit::kFailed, file->error());
}

// Nothing at all was found: that may be right, but never goes without a word.
void TellNothing(const TransferOptions& o, const Pump& pump, uint64_t skipped, bool empty) {
  if (pump.tally().done() + pump.tally().failed() + skipped > 0) return;
  Tell("lariat: {} {}\n", SourceName(o),
       empty ? "is empty: there was nothing to do"
             : "holds no record: nothing but a header, comments or empty lines");
}

// The nodes, after one of them has said that the bucket exists.
tl::expected<std::vector<net::Address>, Exit> Prepare(const Common& common,
                                                      const TransferOptions& o) {
  auto nodes = ResolveNodes(common.nodes, std::getenv("LARIAT_NODE"));
  if (!nodes) return tl::unexpected(Complain(Exit::kUsage, nodes.error().message));
  net::Client client(*nodes, common.Limits(kUsualWait, nodes->size()));
  net::Request request;
  request.target = "/v1/buckets/" + net::PercentEncode(o.bucket);
  auto bucket = Ask(client, request);
  if (!bucket) return tl::unexpected(bucket.error());
  return std::move(*nodes);
}

Exit Report(const Common& common, const Pump& pump, const std::string& verb, uint64_t skipped,
            double seconds, const std::string& stopped) {
  if (common.json) {
    PrintLine(boost::json::serialize(pump.tally().Json(verb, skipped, seconds)));
  } else {
    Print("{}", pump.tally().Text(verb, skipped, seconds));
  }
  if (!stopped.empty()) return Complain(Exit::kFailed, "stopped early: " + stopped);
  return pump.tally().failed() == 0 ? Exit::kDone : Exit::kFailed;
}

// What an earlier run with the same state file has done already.
tl::expected<ImportState, Exit> LoadResume(const TransferOptions& o, ImportState now) {
  if (o.resume.empty()) return now;
  auto saved = transfer::LoadState(o.resume);
  if (!saved) return tl::unexpected(Complain(Exit::kFailed, saved.error().message));
  if (!*saved) return now;
  std::string mismatch = transfer::Mismatch(**saved, now);
  if (mismatch.empty()) return **saved;
  return tl::unexpected(
      Complain(Exit::kUsage, fmt::format("{} {}; remove it to start over", o.resume, mismatch)));
}

std::string RandomSalt() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

Exit Import(const Common& common, const TransferOptions& o) {
  auto nodes = Prepare(common, o);
  if (!nodes) return nodes.error();
  auto reader = transfer::OpenReader(o.reader);
  if (!reader) return Complain(Exit::kUsage, reader.error().message);
  const uint64_t size = (*reader)->source().size();
  auto state = LoadResume(o, {o.reader.path, o.bucket, size, (*reader)->source().offset(), 0});
  if (!state) return state.error();
  if (auto moved = (*reader)->SkipTo(state->offset); !moved) {
    return Complain(Exit::kUsage, moved.error().message);
  }
  const uint64_t skipped = state->records;
  Tracker tracker(state->offset, state->records);
  transfer::ImportJob job({o.bucket, std::filesystem::path(o.reader.path).filename().string(),
                           TransferQuery(o), o.rewrite ? RandomSalt() : ""});
  Progress progress("imported", size);
  std::string save_failed;
  auto save = [&] {
    if (o.resume.empty()) return;
    state->offset = tracker.offset();
    state->records = tracker.records();
    auto saved = transfer::SaveState(o.resume, *state);
    save_failed = saved ? "" : saved.error().message;
  };
  PumpOptions options = PumpFor(common, o, *nodes);
  const bool goes_on = state->offset > 0;
  auto errors = NoteFailures(o, goes_on ? OutFile::Mode::kAppend : OutFile::Mode::kNew, &options);
  if (errors && !errors->error().empty()) return Complain(Exit::kUsage, errors->error());
  Pump pump(std::move(options), **reader, job, tracker, progress, save);
  std::string stopped = pump.Run();
  save();
  progress.Finish();
  TellNothing(o, pump, skipped, (*reader)->source().offset() == 0);
  Exit exit = Report(common, pump, "imported", skipped, progress.Seconds(), stopped);
  if (!save_failed.empty()) exit = Complain(Exit::kFailed, save_failed);
  return Closed(exit, errors.get());
}

uint64_t FileSize(const std::string& path) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

// One pass over the file through the nodes given.
Exit VerifyThrough(const Common& common, const TransferOptions& o,
                   const std::vector<net::Address>& nodes) {
  auto reader = transfer::OpenSecondReader(o.reader);
  if (!reader) return Complain(Exit::kUsage, reader.error().message);
  transfer::VerifyJob job(o.bucket, TransferQuery(o));
  Tracker tracker(0, 0);
  const uint64_t size = FileSize(o.reader.path);
  Progress progress("verified", size);
  PumpOptions options = PumpFor(common, o, nodes);
  auto errors = NoteFailures(o, OutFile::Mode::kNew, &options);
  if (errors && !errors->error().empty()) return Complain(Exit::kUsage, errors->error());
  Pump pump(std::move(options), **reader, job, tracker, progress, [] {});
  std::string stopped = pump.Run();
  progress.Finish();
  TellNothing(o, pump, 0, size == 0 && o.reader.path != "-");
  const Exit exit = Report(common, pump, "verified", 0, progress.Seconds(), stopped);
  return Closed(exit, errors.get());
}

Exit Verify(const Common& common, const TransferOptions& o) {
  auto nodes = Prepare(common, o);
  if (!nodes) return nodes.error();
  if (!o.each_node) return VerifyThrough(common, o, *nodes);
  if (o.reader.path == "-") {
    return Complain(Exit::kUsage, "--each-node reads the file several times: not from -");
  }
  Exit worst = Exit::kDone;
  for (const net::Address& node : *nodes) {
    if (!common.json) Print("through {}: ", node.ToString());
    FlushOutput();
    Exit exit = VerifyThrough(common, o, {node});
    if (exit != Exit::kDone) worst = exit;
  }
  return worst;
}

Exit RunImport(const Common& common, TransferOptions o) {
  if (!o.format.empty()) {
    o.reader.format = transfer::ParseFormat(o.format);
    if (!o.reader.format) {
      return Complain(Exit::kUsage,
                      fmt::format("--format {}: ndjson, csv and deb822 are known", o.format));
    }
  }
  return o.verify ? Verify(common, o) : Import(common, o);
}

// As bytes or as JSON: said, or by the name.
std::optional<KeyReader::Form> KeysForm(const TransferOptions& o) {
  if (o.keys_format == "lines") return KeyReader::Form::kBytes;
  if (o.keys_format == "ndjson") return KeyReader::Form::kJson;
  if (!o.keys_format.empty()) return std::nullopt;
  const bool json = transfer::GuessFormat(o.reader.path) == transfer::Format::kNdjson;
  return json ? KeyReader::Form::kJson : KeyReader::Form::kBytes;
}

Exit Export(const Common& common, const TransferOptions& o) {
  if (o.reader.path.empty()) {
    return transfer::ExportBucket(common, {o.bucket, o.out, o.resume, o.r, o.consistency});
  }
  if (!o.resume.empty()) {
    return Complain(Exit::kUsage, "--resume is for whole buckets: without --keys");
  }
  const auto form = KeysForm(o);
  if (!form) {
    return Complain(Exit::kUsage,
                    fmt::format("--keys-format {}: lines and ndjson are known", o.keys_format));
  }
  auto nodes = Prepare(common, o);
  if (!nodes) return nodes.error();
  auto source = transfer::LineSource::Open(o.reader.path);
  if (!source) return Complain(Exit::kUsage, source.error().message);
  std::unique_ptr<OutFile> out;
  if (!o.out.empty()) out = std::make_unique<OutFile>(o.out, OutFile::Mode::kNew);
  if (out && !out->error().empty()) return Complain(Exit::kFailed, out->error());
  Progress progress("exported", (*source)->size());
  KeyReader reader(std::move(*source), *form);
  transfer::ExportJob job(o.bucket, TransferQuery(o), [&](std::string_view line) {
    if (out) return out->Write(line);
    Write(line);
    return OutputWorks();
  });
  Tracker tracker(0, 0);
  PumpOptions options = PumpFor(common, o, *nodes);
  auto errors = NoteFailures(o, OutFile::Mode::kNew, &options);
  if (errors && !errors->error().empty()) return Complain(Exit::kUsage, errors->error());
  Pump pump(std::move(options), reader, job, tracker, progress, [] {});
  std::string stopped = pump.Run();
  progress.Finish();
  TellNothing(o, pump, 0, reader.source().offset() == 0);
  // Where the output went wrong that is what counts, and it is told of itself.
  Exit exit = Closed(pump.tally().failed() == 0 ? Exit::kDone : Exit::kFailed, out.get());
  if (!FlushOutput()) return Exit::kFailed;
  // Standard output holds the data; the summary goes beside it.
  TellText(common.json
               ? boost::json::serialize(pump.tally().Json("exported", 0, progress.Seconds())) + "\n"
               : pump.tally().Text("exported", 0, progress.Seconds()));
  if (!stopped.empty() && exit == Exit::kDone) exit = Exit::kFailed;
  if (!stopped.empty()) Complain(exit, "stopped early: " + stopped);
  return Closed(exit, errors.get());
}

void AddPumpOptions(CLI::App* command, const TransferOptionsPtr& o) {
  command->add_option("-b,--bucket", o->bucket, "Bucket (default: default)");
  command->add_option("--concurrency", o->concurrency, "Requests in work at once (default 32)")
      ->check(CLI::Range(1, 4096));
  command->add_option("--timeout-ms", o->timeout_ms, "Time a node may take for one record");
  command->add_option("--give-up-s", o->give_up_s, "Seconds one record is tried (default 60)");
  command->add_option("--max-errors", o->max_errors,
                      "Stop after so many failed records (default 1000 for an import, else none)");
  command->add_option("--errors", o->errors,
                      "File to write: a line of JSON for each failed record, with its place");
}

}  // namespace

void AddTransferCommands(CLI::App& app, Session& session) {
  auto in = std::make_shared<TransferOptions>();
  CLI::App* command = AddCommand(
      app, session, "import", "Write the records of a file, or verify that they are stored",
      "  lariat import users.ndjson --bucket users --resume users.state\n"
      "  lariat import Packages --key-template '{Package}_{Version}'\n"
      "  lariat import users.ndjson --bucket users --verify --r 3");
  command->add_option("FILE", in->reader.path, "A file, or - for standard input")->required();
  command->add_option("--format", in->format, "ndjson, csv or deb822 (default: by the name)");
  command->add_option("--key-field", in->reader.key_field, "Field or column that is the key");
  command->add_option("--key-template", in->reader.key_template, "Key made of fields: '{A}_{B}'");
  command->add_option("--value-field", in->reader.value_field, "Field or column that is the value");
  AddPumpOptions(command, in);
  command->add_option("--w", in->w, "Replicas that must have stored each record");
  command->add_option("--r", in->r, "With --verify: replicas that must have answered");
  command->add_option("--resume", in->resume, "State file: go on where an earlier run stopped");
  command->add_flag("--verify", in->verify,
                    "Read the file by other means, and every record back, and compare");
  command->add_flag("--each-node", in->each_node, "With --verify: all records through every node");
  command->add_flag("--rewrite", in->rewrite,
                    "Write also what an import of the same file wrote in the last 24 h");
  command->callback(
      [&session, in] { session.run = [&session, in] { return RunImport(session.common, *in); }; });

  auto out = std::make_shared<TransferOptions>();
  out->exporting = true;
  command = AddCommand(app, session, "export",
                       "Read a whole bucket, or the keys that a file names, as NDJSON",
                       "  lariat export --bucket users > users.ndjson\n"
                       "  lariat export --bucket users --out users.ndjson --resume users.state\n"
                       "  lariat export --bucket users --keys keys.txt > some.ndjson");
  command->add_option("--keys", out->reader.path,
                      "Only these: one key per line; - is standard input");
  command->add_option(
      "--resume", out->resume,
      "State file of a whole bucket with --out: go on where an earlier run stopped");
  command->add_option("--keys-format", out->keys_format,
                      "lines (the bytes of each line) or ndjson (strings, {\"base64\": ...}, or "
                      "what import reads); default: by the name");
  command->add_option("-o,--out", out->out, "File to write (default: standard output)");
  command->add_option("--r", out->r, "Replicas that must have answered");
  AddPumpOptions(command, out);
  command->callback(
      [&session, out] { session.run = [&session, out] { return Export(session.common, *out); }; });
}

}  // namespace lariat::cli
