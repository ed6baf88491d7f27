// SPDX-License-Identifier: Apache-2.0
#include "repair/transfer_core.h"

#include <algorithm>
#include <utility>

namespace lariat::repair {

using base::Code;
using base::Fail;

namespace {

constexpr size_t kSavesMax = 4096;  // cursors stored at once
constexpr size_t kLookMax = 64;     // paused streams passed over when one is chosen

// The source cannot be asked for anything just now, as opposed to this one page.
bool IsAboutSource(Code code) {
  return code == Code::kOverloaded || code == Code::kUnavailable || code == Code::kStaleEpoch;
}

base::Status CheckLastKey(const wire::RangePull& request, const wire::RangePage& page) {
  const ring::TokenRange range = {{request.from_token}, {request.to_token}};
  if (page.last_key <= request.after_key) {
    const bool nothing_left = page.done && page.entries.empty() && page.outcome.ok();
    if (nothing_left) return {};
    return Fail(Code::kCorruption, "a page that gets no further");
  }
  const auto last = ParseRecordKey(page.last_key);
  if (!last || last->bucket != request.bucket || !range.Contains(last->token)) {
    return Fail(Code::kCorruption, "a page that ends outside its range");
  }
  return {};
}

}  // namespace

base::Status CheckPage(const wire::RangePull& request, const wire::RangePage& page) {
  if (wire::PageChecksum(page.entries) != page.checksum) {
    return Fail(Code::kCorruption, "a page that fails its checksum");
  }
  const ring::TokenRange range = {{request.from_token}, {request.to_token}};
  const std::string* before = &request.after_key;
  for (const wire::RangePage::Entry& entry : page.entries) {
    const auto key = ParseRecordKey(entry.key);
    if (!key || key->bucket != request.bucket || !range.Contains(key->token)) {
      return Fail(Code::kCorruption, "a page with a record from outside its range");
    }
    if (entry.key <= *before) return Fail(Code::kCorruption, "a page that is out of order");
    before = &entry.key;
  }
  if (page.last_key < *before) {
    const bool empty_end = page.entries.empty() && page.done && page.last_key.empty();
    if (!empty_end) return Fail(Code::kCorruption, "a page that ends before its last record");
  }
  return CheckLastKey(request, page);
}

TransferCore::TransferCore(TransferPlan plan, TransferOptions options, base::Instant now)
    : plan_(std::move(plan)), options_(options), throttle_(options.throttle), saved_at_(now) {
  auto& list = plan_.streams;
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  streams_.resize(list.size());
  for (StreamIndex i = 0; i < list.size(); ++i) {
    sources_[list[i].source].waiting.push_back(i);
    share_total_ += list[i].range.Share();
  }
}

void TransferCore::SetOptions(const TransferOptions& options) {
  options_ = options;
  throttle_.SetOptions(options.throttle);
}

bool TransferCore::Restore(const std::string& name, std::string_view bytes) {
  const auto cursor = DecodeCursor(bytes);
  if (!cursor) return false;
  if (by_name_.empty()) {
    for (StreamIndex i = 0; i < streams_.size(); ++i) {
      by_name_.emplace(CursorName(plan_.change, plan_.streams[i]), i);
    }
  }
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return false;
  const StreamIndex index = found->second;
  StreamState& stream = streams_[index];
  if (stream.cursor.finished) return true;
  stream.cursor = *cursor;
  keys_ += cursor->keys;
  bytes_ += cursor->bytes;
  if (cursor->redo_from) stream.damage = "some records";
  if (cursor->finished) {
    stream.state = State::kFinished;
    stream.saved_finished = true;
    ++finished_;
    ++saved_finished_;
  }
  NoteShare(index);
  return true;
}

TransferCore::Actions TransferCore::Next(base::Instant now) {
  by_name_.clear();
  Actions actions;
  AddWrites(&actions);
  AddAsks(now, &actions);
  AddSaves(now, &actions);
  counts_.running = active_;
  meter_.Note(bytes_, Fraction(), now);
  return actions;
}

// --- asking ------------------------------------------------------------------------------------

void TransferCore::AddAsks(base::Instant now, Actions* actions) {
  std::vector<const Source*> exhausted;
  while (active_ < options_.parallel && throttle_.MayGo(now)) {
    Source* source = PickSource(now, exhausted);
    if (source == nullptr) return;
    if (const auto index = PickStream(source, now)) {
      actions->asks.push_back(MakeAsk(*index, source, now));
    } else {
      exhausted.push_back(source);
    }
  }
}

// The one that is asked least: a slow one must not take all places.
TransferCore::Source* TransferCore::PickSource(base::Instant now,
                                               const std::vector<const Source*>& without) {
  Source* best = nullptr;
  for (auto& [number, source] : sources_) {
    if (source.waiting.empty()) continue;
    if (std::find(without.begin(), without.end(), &source) != without.end()) continue;
    // One question at a time finds out whether it is back.
    if (source.failures > 0 && (source.running > 0 || now < source.not_before)) continue;
    if (best == nullptr || source.running < best->running) best = &source;
  }
  return best;
}

std::optional<TransferCore::StreamIndex> TransferCore::PickStream(Source* source,
                                                                  base::Instant now) const {
  size_t looks = std::min(source->waiting.size(), kLookMax);
  while (looks > 0 && !source->waiting.empty()) {
    const StreamIndex index = source->waiting.front();
    source->waiting.pop_front();
    if (streams_[index].state == State::kFinished) continue;  // in an earlier run
    if (streams_[index].not_before <= now) return index;
    source->waiting.push_back(index);
    --looks;
  }
  return std::nullopt;
}

TransferCore::Ask TransferCore::MakeAsk(StreamIndex index, Source* source, base::Instant now) {
  StreamState& stream = streams_[index];
  const Stream& plan = plan_.streams[index];
  stream.state = State::kAsked;
  stream.ticket = ++last_ticket_;
  ++source->running;
  ++active_;
  stream.page_bytes = options_.page_bytes;
  throttle_.Take(stream.page_bytes, now);
  Ask ask;
  ask.stream = index;
  ask.ticket = stream.ticket;
  ask.source = plan.source;
  ask.request.change = plan_.change;
  ask.request.bucket = plan.bucket;
  ask.request.from_token = plan.range.from.value;
  ask.request.to_token = plan.range.to.value;
  ask.request.after_key = stream.cursor.last_key;
  ask.request.bytes_max = options_.page_bytes;
  return ask;
}

void TransferCore::OnPage(StreamIndex index, uint64_t ticket, base::Result<wire::RangePage> page,
                          base::Instant now) {
  StreamState& stream = streams_.at(index);
  if (stream.state != State::kAsked || stream.ticket != ticket) return;
  Source& source = SourceOf(index);
  stream.state = State::kWaiting;
  --source.running;
  --active_;
  throttle_.Return(stream.page_bytes, now);
  if (!page) {
    return OnSourceTrouble(index, "does not answer (" + page.error().message + ")", now);
  }
  const wire::Outcome& outcome = page->outcome;
  if (IsAboutSource(outcome.code)) {
    return OnSourceTrouble(index, "gives nothing yet (" + outcome.error + ")", now);
  }
  source.failures = 0;
  source.trouble.clear();
  const bool damaged = outcome.code == Code::kCorruption && !page->last_key.empty();
  if (!outcome.ok() && !damaged) {
    ++counts_.retries;
    return PauseStream(index,
                       SourceName(index) + " cannot read its records (" + outcome.error + ")", now);
  }
  const Stream& plan = plan_.streams[index];
  const wire::RangePull asked = {plan_.change,           plan.bucket,
                                 plan.range.from.value,  plan.range.to.value,
                                 stream.cursor.last_key, 0};
  if (const auto good = CheckPage(asked, *page); !good) {
    ++counts_.refused;
    return PauseStream(index, SourceName(index) + " sends " + good.error().message, now);
  }
  TakePage(index, std::move(*page), now);
}

void TransferCore::OnSourceTrouble(StreamIndex index, const std::string& trouble,
                                   base::Instant now) {
  Source& source = SourceOf(index);
  source.waiting.push_front(index);
  source.trouble = SourceName(index) + ' ' + trouble;
  ++counts_.retries;
  // What fails together counts once.
  if (source.failures > 0 && now < source.not_before) return;
  source.not_before = now + Backoff(++source.failures);
}

void TransferCore::PauseStream(StreamIndex index, std::string trouble, base::Instant now) {
  StreamState& stream = streams_[index];
  stream.state = State::kWaiting;
  stream.not_before = now + Backoff(++stream.failures);
  stream.trouble = std::move(trouble);
  troubled_.insert(index);
  SourceOf(index).waiting.push_back(index);
}

base::Duration TransferCore::Backoff(uint32_t failures) const {
  const uint32_t doublings = std::min(failures - 1, 20U);
  return std::min(options_.backoff_max, options_.backoff_min * (1U << doublings));
}

// --- writing -----------------------------------------------------------------------------------

void TransferCore::TakePage(StreamIndex index, wire::RangePage page, base::Instant now) {
  StreamState& stream = streams_[index];
  stream.page_bytes = 0;
  for (const auto& entry : page.entries)
    stream.page_bytes += entry.key.size() + entry.object.size();
  throttle_.Take(stream.page_bytes, now);
  stream.page = std::move(page);
  stream.handed_out = 0;
  stream.write_status = {};
  stream.state = State::kWriting;
  ++active_;
  if (stream.page.entries.empty()) return PageWritten(index, now);
  writing_.push_back(index);
}

void TransferCore::AddWrites(Actions* actions) {
  while (!writing_.empty() && writes_running_ < options_.writes_max) {
    const StreamIndex index = writing_.front();
    StreamState& stream = streams_[index];
    wire::RangePage::Entry& entry = stream.page.entries[stream.handed_out++];
    actions->writes.push_back(
        {index, stream.ticket, std::move(entry.key), std::move(entry.object)});
    ++stream.in_flight;
    ++writes_running_;
    if (stream.handed_out == stream.page.entries.size()) writing_.pop_front();
  }
}

void TransferCore::OnWritten(StreamIndex index, uint64_t ticket, const base::Status& status,
                             base::Instant now) {
  StreamState& stream = streams_.at(index);
  if (stream.state != State::kWriting || stream.ticket != ticket || stream.in_flight == 0) return;
  --stream.in_flight;
  --writes_running_;
  if (!status) stream.write_status = status;
  const bool all = stream.in_flight == 0 && stream.handed_out == stream.page.entries.size();
  if (all) PageWritten(index, now);
}

void TransferCore::PageWritten(StreamIndex index, base::Instant now) {
  StreamState& stream = streams_[index];
  --active_;
  const wire::RangePage page = std::exchange(stream.page, {});
  if (!stream.write_status) {
    // Its records were given away: the page is asked for once more.
    ++counts_.retries;
    return PauseStream(index,
                       "records from " + SourceName(index) + " cannot be stored here (" +
                           stream.write_status.error().message + ")",
                       now);
  }
  stream.failures = 0;
  stream.trouble.clear();
  Cursor& cursor = stream.cursor;
  cursor.keys += page.entries.size();
  cursor.bytes += stream.page_bytes;
  keys_ += page.entries.size();
  bytes_ += stream.page_bytes;
  counts_.keys += page.entries.size();
  counts_.bytes += stream.page_bytes;
  if (!page.outcome.ok()) {
    stream.damage = page.outcome.error;
    if (!cursor.redo_from) cursor.redo_from = cursor.last_key;
  }
  if (stream.damage.empty())
    troubled_.erase(index);
  else
    troubled_.insert(index);
  if (!page.last_key.empty()) cursor.last_key = page.last_key;
  MarkDirty(index);
  if (page.done) return EndOfPass(index, now);
  stream.state = State::kWaiting;
  NoteShare(index);
  SourceOf(index).waiting.push_front(index);
}

void TransferCore::EndOfPass(StreamIndex index, base::Instant now) {
  StreamState& stream = streams_[index];
  if (stream.cursor.redo_from) {
    stream.cursor.last_key = *std::exchange(stream.cursor.redo_from, std::nullopt);
    stream.state = State::kWaiting;
    stream.not_before = now + options_.damage_backoff;
    SourceOf(index).waiting.push_back(index);
  } else {
    stream.state = State::kFinished;
    stream.cursor.finished = true;
    stream.damage.clear();
    troubled_.erase(index);
    ++finished_;
  }
  NoteShare(index);
}

// --- storing cursors ---------------------------------------------------------------------------

void TransferCore::MarkDirty(StreamIndex index) {
  if (std::exchange(streams_[index].dirty, true)) return;
  dirty_.push_back(index);
}

void TransferCore::AddSaves(base::Instant now, Actions* actions) {
  if (save_under_way_ || dirty_.empty()) return;
  const bool all_done = finished_ == streams_.size() && save_trouble_.empty();
  if (!all_done && dirty_.size() < kSavesMax && now - saved_at_ < options_.save_every) return;
  save_under_way_ = true;
  const auto count = static_cast<std::ptrdiff_t>(std::min(dirty_.size(), kSavesMax));
  saving_.assign(dirty_.begin(), dirty_.begin() + count);
  dirty_.erase(dirty_.begin(), dirty_.begin() + count);
  saving_finished_.clear();
  for (const StreamIndex index : saving_) {
    StreamState& stream = streams_[index];
    stream.dirty = false;
    saving_finished_.push_back(stream.cursor.finished);
    actions->saves.push_back(
        {CursorName(plan_.change, plan_.streams[index]), EncodeCursor(stream.cursor)});
  }
}

void TransferCore::OnSaved(const base::Status& status, base::Instant now) {
  save_under_way_ = false;
  saved_at_ = now;
  save_trouble_ = status ? "" : "cursors cannot be stored here (" + status.error().message + ")";
  for (size_t i = 0; i < saving_.size(); ++i) {
    StreamState& stream = streams_[saving_[i]];
    if (!status) {
      MarkDirty(saving_[i]);
    } else if (saving_finished_[i] && !std::exchange(stream.saved_finished, true)) {
      ++saved_finished_;
    }
  }
  saving_.clear();
}

// --- telling -----------------------------------------------------------------------------------

const std::string& TransferCore::SourceName(StreamIndex index) const {
  static const std::string unknown = "a member";
  const auto found = plan_.names.find(plan_.streams[index].source);
  return found == plan_.names.end() ? unknown : found->second;
}

void TransferCore::NoteShare(StreamIndex index) {
  StreamState& stream = streams_[index];
  const ring::TokenRange& range = plan_.streams[index].range;
  double part = 0;
  if (stream.cursor.finished) {
    part = 1;
  } else if (const auto key = ParseRecordKey(stream.cursor.last_key)) {
    part = ShareRead(range, key->token);
  }
  share_done_ -= stream.share_done;
  stream.share_done = part * range.Share();
  share_done_ += stream.share_done;
}

double TransferCore::Fraction() const {
  if (finished_ == streams_.size()) return 1;
  return share_total_ > 0 ? std::clamp(share_done_ / share_total_, 0.0, 1.0) : 0;
}

std::string TransferCore::Trouble() const {
  if (Finished()) return "";
  for (const auto& [number, source] : sources_) {
    if (source.failures > 0) return source.trouble;
  }
  if (!troubled_.empty()) {
    const StreamIndex index = *troubled_.begin();
    const StreamState& stream = streams_[index];
    if (!stream.trouble.empty()) return stream.trouble;
    return SourceName(index) + " cannot read " + stream.damage;
  }
  return save_trouble_;
}

TransferProgress TransferCore::Progress(base::Instant now) const {
  TransferProgress progress;
  progress.change = plan_.change;
  progress.ranges_done = finished_;
  progress.ranges_total = streams_.size();
  progress.bytes = bytes_;
  progress.keys = keys_;
  progress.fraction = Fraction();
  progress.bytes_per_s = meter_.BytesPerSecond(now);
  progress.seconds_left = meter_.SecondsLeft(progress.fraction, now);
  progress.finished = Finished();
  progress.trouble = Trouble();
  return progress;
}

}  // namespace lariat::repair
