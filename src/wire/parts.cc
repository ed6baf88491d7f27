// SPDX-License-Identifier: Apache-2.0
#include "wire/parts.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "wire/frame.h"

namespace lariat::wire {

void AppendPart(const Part& part, std::string* out) {
  FrameWriter frame(out, FrameKind::kPart);
  base::ByteWriter w(out);
  w.U64(part.id);
  w.U32(part.number);
  w.U32(part.total);
  w.U32(part.offset);
  w.Raw(part.bytes);
  frame.Finish();
}

std::optional<Part> ParsePart(std::string_view payload) {
  base::ByteReader r(payload);
  Part part;
  part.id = r.U64();
  part.number = r.U32();
  part.total = r.U32();
  part.offset = r.U32();
  part.bytes = r.Rest();
  const bool fits = r.ok() && !part.bytes.empty() && part.offset < part.total &&
                    part.bytes.size() <= part.total - part.offset;
  return fits ? std::optional(part) : std::nullopt;
}

bool PartsBudget::Take(size_t bytes) {
  if (bytes > max_ - used_) return false;
  used_ += bytes;
  return true;
}

PartsReader::Took PartsReader::Take(std::string_view payload) {
  const auto part = ParsePart(payload);
  if (!part) return Took::kBad;
  Took took = Took::kMore;
  if (!open_) {
    took = Begin(*part);
    if (took == Took::kBad) return took;
  }
  const bool next = part->number == number_ && part->id == id_ && part->total == total_ &&
                    part->offset == received_;
  if (!next) return Took::kBad;
  if (!dropped_) Append(part->bytes);
  received_ += static_cast<uint32_t>(part->bytes.size());
  if (received_ < total_) return took;
  open_ = false;
  return dropped_ ? took : Took::kMessage;
}

PartsReader::Took PartsReader::Begin(const Part& part) {
  if (part.number != number_ + 1 || part.offset != 0) return Took::kBad;
  // Whoever sends has been told the most that is taken.
  if (part.total > budget_.max()) return Took::kBad;
  open_ = true;
  id_ = part.id;
  number_ = part.number;
  total_ = part.total;
  received_ = 0;
  dropped_ = !budget_.Take(part.total);
  return dropped_ ? Took::kNoRoom : Took::kMore;
}

void PartsReader::Append(std::string_view bytes) {
  const size_t wanted = message_.size() + bytes.size();
  if (wanted > message_.capacity()) {
    message_.reserve(std::min<size_t>(total_, std::max(wanted, 2 * message_.capacity())));
  }
  message_.append(bytes);
}

std::string PartsReader::TakeMessage() {
  LARIAT_CHECK(!open_ && !dropped_ && message_.size() == total_, "the message is whole");
  budget_.Return(total_);
  total_ = 0;
  return std::exchange(message_, {});
}

void PartsReader::Reset() {
  const bool counted = (open_ || !message_.empty()) && !dropped_;
  if (counted) budget_.Return(total_);
  message_ = {};
  open_ = false;
}

}  // namespace lariat::wire
