// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/transfer/export_bucket.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <filesystem>
#include <memory>

#include "apps/lariat/terminal/progress.h"
#include "apps/lariat/terminal/text.h"
#include "apps/lariat/transfer/jobs.h"
#include "apps/lariat/transfer/list_pages.h"
#include "apps/lariat/transfer/out_file.h"
#include "apps/lariat/transfer/state_file.h"

namespace lariat::cli::transfer {

namespace {

constexpr std::chrono::milliseconds kPageWait{15000};

// What an earlier run has done, and the output cut back to that.
tl::expected<ExportState, Exit> GoOn(const BucketExport& o) {
  const ExportState fresh{o.bucket};
  if (o.resume.empty()) return fresh;
  if (o.out.empty()) {
    return tl::unexpected(
        Complain(Exit::kUsage, "--resume needs --out: a file can be gone on with"));
  }
  auto saved = LoadExportState(o.resume);
  if (!saved) return tl::unexpected(Complain(Exit::kFailed, saved.error().message));
  if (!*saved) return fresh;
  if ((*saved)->bucket != o.bucket) {
    return tl::unexpected(Complain(
        Exit::kUsage, fmt::format("{} is of bucket '{}', not '{}'; remove it to start over",
                                  o.resume, (*saved)->bucket, o.bucket)));
  }
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(o.out, error);
  if (error || size < (*saved)->bytes) {
    return tl::unexpected(Complain(
        Exit::kUsage,
        fmt::format("{} is shorter than {} says; remove both to start over", o.out, o.resume)));
  }
  std::filesystem::resize_file(o.out, (*saved)->bytes, error);
  if (error) return tl::unexpected(Complain(Exit::kFailed, error.message()));
  return **saved;
}

// Writes the lines of a page; false: no more can be written, or a pair is not as it should be.
bool WritePage(const boost::json::array& pairs, OutFile* out, ExportState* state) {
  for (const boost::json::value& pair : pairs) {
    auto line = ExportLineOf(KeyOfPair(pair), pair);
    if (!line) return false;
    *line += '\n';
    if (out != nullptr && !out->Write(*line)) return false;
    if (out == nullptr) Write(*line);
    state->bytes += line->size();
    ++state->records;
  }
  return out != nullptr ? out->Flush() : OutputWorks();
}

Exit Walk(ListPages& pages, const BucketExport& o, OutFile* out, Progress& progress,
          ExportState* state) {
  while (!state->done) {
    auto page = pages.Next();
    if (!page) return page.error();
    if (*page && !WritePage(**page, out, state)) {
      return Complain(Exit::kFailed, out != nullptr && !out->error().empty()
                                         ? out->error()
                                         : "a line could not be made or written");
    }
    state->cursor = pages.cursor();
    state->done = pages.ended();
    progress.Update(state->records, state->bytes);
    if (o.resume.empty()) continue;
    if (auto saved = SaveExportState(o.resume, *state); !saved) {
      return Complain(Exit::kFailed, saved.error().message);
    }
  }
  return Exit::kDone;
}

}  // namespace

Exit ExportBucket(const Common& common, const BucketExport& o) {
  auto state = GoOn(o);
  if (!state) return state.error();
  auto client = Connect(common, kPageWait);
  if (!client) return Exit::kUsage;
  std::unique_ptr<OutFile> out;
  if (!o.out.empty()) {
    const bool goes_on = state->bytes > 0;
    out = std::make_unique<OutFile>(o.out, goes_on ? OutFile::Mode::kAppend : OutFile::Mode::kNew);
    if (!out->error().empty()) return Complain(Exit::kFailed, out->error());
  }
  ListOptions list;
  list.bucket = o.bucket;
  list.values = true;
  list.r = o.r;
  list.consistency = o.consistency;
  ListPages pages(*client, std::move(list), state->cursor);
  Progress progress("exported", 0);
  const Exit exit = Walk(pages, o, out.get(), progress, &*state);
  progress.Finish();
  if (out) out->Close();
  if (!FlushOutput()) return Exit::kFailed;
  // Standard output may hold the data; the summary goes beside it.
  if (common.json) {
    Tell("{}\n", boost::json::serialize(boost::json::object{{"exported", state->records},
                                                            {"bytes", state->bytes},
                                                            {"seconds", progress.Seconds()},
                                                            {"done", state->done}}));
  } else {
    Tell("exported {} records, {}, in {}\n", CountText(state->records), BytesText(state->bytes),
         SecondsText(progress.Seconds()));
  }
  if (exit == Exit::kDone && out && !out->error().empty()) {
    return Complain(Exit::kFailed, out->error());
  }
  return exit;
}

}  // namespace lariat::cli::transfer
