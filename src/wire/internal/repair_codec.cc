// SPDX-License-Identifier: Apache-2.0
#include "wire/internal/repair_codec.h"

#include <utility>

namespace lariat::wire::internal {
namespace {

void PutSpan(const TokenSpan& from, pb::TokenSpan* to) {
  to->set_from(from.from);
  to->set_to(from.to);
}
TokenSpan TakeSpan(const pb::TokenSpan& from) { return {from.from(), from.to()}; }

template <typename Message>
void PutDigests(std::vector<KeyDigest>&& from, Message add) {
  for (KeyDigest& entry : from) {
    pb::KeyDigest* e = add();
    e->set_key(std::move(entry.key));
    e->set_high(entry.digest.high);
    e->set_low(entry.digest.low);
  }
}
template <typename Entries>
bool TakeDigests(Entries* from, std::vector<KeyDigest>* to) {
  if (static_cast<size_t>(from->size()) > kRecordsMax) return false;
  to->reserve(static_cast<size_t>(from->size()));
  for (pb::KeyDigest& entry : *from) {
    to->push_back({std::move(*entry.mutable_key()), {entry.high(), entry.low()}});
  }
  return true;
}

template <typename Message>
void PutKeys(std::vector<std::string>&& from, Message* to) {
  for (std::string& key : from) to->add_keys(std::move(key));
}
template <typename Keys>
bool TakeKeys(Keys* from, std::vector<std::string>* to) {
  if (static_cast<size_t>(from->size()) > kRecordsMax) return false;
  to->reserve(static_cast<size_t>(from->size()));
  for (std::string& key : *from) to->push_back(std::move(key));
  return true;
}

template <typename Message>
void PutRecords(std::vector<FetchReply::Entry>&& from, Message* to) {
  for (FetchReply::Entry& entry : from) {
    pb::Record* e = to->add_entries();
    e->set_key(std::move(entry.key));
    e->set_object(std::move(entry.object));
  }
}
template <typename Records>
bool TakeRecords(Records* from, std::vector<FetchReply::Entry>* to) {
  if (static_cast<size_t>(from->size()) > kRecordsMax) return false;
  to->reserve(static_cast<size_t>(from->size()));
  for (pb::Record& entry : *from) {
    to->push_back({std::move(*entry.mutable_key()), std::move(*entry.mutable_object())});
  }
  return true;
}

}  // namespace

void PutBody(TreeRequest&& from, pb::TreeRequest* to) {
  to->set_bucket(from.bucket);
  for (const TokenSpan& span : from.spans) PutSpan(span, to->add_spans());
}
bool TakeBody(pb::TreeRequest* from, TreeRequest* to) {
  if (static_cast<size_t>(from->spans_size()) > kSpansMax) return false;
  to->bucket = from->bucket();
  for (const pb::TokenSpan& span : from->spans()) to->spans.push_back(TakeSpan(span));
  return true;
}

void PutBody(TreeReply&& from, pb::TreeReply* to) {
  for (const TreeReply::Hash& hash : from.hashes) {
    pb::TreeReply::Hash* h = to->add_hashes();
    h->set_high(hash.hash.high);
    h->set_low(hash.hash.low);
    h->set_keys(hash.keys);
    h->set_unknown(!hash.known);
  }
}
bool TakeBody(pb::TreeReply* from, TreeReply* to) {
  if (static_cast<size_t>(from->hashes_size()) > kSpansMax) return false;
  for (const pb::TreeReply::Hash& h : from->hashes()) {
    to->hashes.push_back({{h.high(), h.low()}, h.keys(), !h.unknown()});
  }
  return true;
}

void PutBody(LeafRequest&& from, pb::LeafRequest* to) {
  to->set_bucket(from.bucket);
  PutSpan(from.span, to->mutable_span());
  to->set_after_key(std::move(from.after_key));
}
bool TakeBody(pb::LeafRequest* from, LeafRequest* to) {
  *to = {from->bucket(), TakeSpan(from->span()), std::move(*from->mutable_after_key())};
  return true;
}

void PutBody(LeafReply&& from, pb::LeafReply* to) {
  PutDigests(std::move(from.entries), [to] { return to->add_entries(); });
  to->set_last_key(std::move(from.last_key));
  to->set_done(from.done);
}
bool TakeBody(pb::LeafReply* from, LeafReply* to) {
  to->last_key = std::move(*from->mutable_last_key());
  to->done = from->done();
  return TakeDigests(from->mutable_entries(), &to->entries);
}

void PutBody(FetchRequest&& from, pb::FetchRequest* to) {
  PutKeys(std::move(from.keys), to);
  to->set_certain(from.certain);
}
bool TakeBody(pb::FetchRequest* from, FetchRequest* to) {
  to->certain = from->certain();
  return TakeKeys(from->mutable_keys(), &to->keys);
}

void PutBody(FetchReply&& from, pb::FetchReply* to) {
  PutRecords(std::move(from.entries), to);
  to->set_complete(from.complete);
}
bool TakeBody(pb::FetchReply* from, FetchReply* to) {
  to->complete = from->complete();
  return TakeRecords(from->mutable_entries(), &to->entries);
}

void PutBody(RecordPush&& from, pb::RecordPush* to) {
  to->set_kind(static_cast<uint32_t>(from.kind));
  PutRecords(std::move(from.entries), to);
}
bool TakeBody(pb::RecordPush* from, RecordPush* to) {
  if (from->kind() > static_cast<uint32_t>(PushKind::kHint)) return false;
  to->kind = static_cast<PushKind>(from->kind());
  return TakeRecords(from->mutable_entries(), &to->entries);
}

void PutBody(HintsRequest&& from, pb::HintsRequest* to) { PutKeys(std::move(from.keys), to); }
bool TakeBody(pb::HintsRequest* from, HintsRequest* to) {
  return TakeKeys(from->mutable_keys(), &to->keys);
}

void PutBody(HintsReply&& from, pb::HintsReply* to) {
  for (std::string& key : from.hinted) to->add_hinted(std::move(key));
  to->set_unclean(std::move(from.unclean));
}
bool TakeBody(pb::HintsReply* from, HintsReply* to) {
  to->unclean = std::move(*from->mutable_unclean());
  return TakeKeys(from->mutable_hinted(), &to->hinted);
}

void PutBody(SweepRequest&& from, pb::SweepRequest* to) {
  to->set_step(static_cast<uint32_t>(from.step));
  to->set_aim(static_cast<uint32_t>(from.aim));
  PutDigests(std::move(from.keys), [to] { return to->add_keys(); });
  for (const SweepRequest::Confirmed& confirmed : from.confirmed) {
    auto* entry = to->add_confirmed();
    entry->set_member(confirmed.member);
    entry->set_run(confirmed.run);
    entry->set_confirmed(confirmed.confirmed);
  }
}
bool TakeBody(pb::SweepRequest* from, SweepRequest* to) {
  if (from->confirmed_size() > static_cast<int>(kRecordsMax)) return false;
  for (const auto& entry : from->confirmed()) {
    to->confirmed.push_back({entry.member(), entry.run(), entry.confirmed()});
  }
  if (from->step() > static_cast<uint32_t>(SweepStep::kFold)) return false;
  to->step = static_cast<SweepStep>(from->step());
  const bool fold = from->aim() == static_cast<uint32_t>(SweepStep::kFold);
  to->aim = fold ? SweepStep::kFold : SweepStep::kPurge;  // purging asks for more
  return TakeDigests(from->mutable_keys(), &to->keys);
}

void PutBody(SweepReply&& from, pb::SweepReply* to) {
  std::string states;
  for (const SweepState state : from.states) states.push_back(static_cast<char>(state));
  to->set_states(std::move(states));
  to->set_run(from.run);
  to->set_confirmed(from.confirmed);
}
bool TakeBody(pb::SweepReply* from, SweepReply* to) {
  if (from->states().size() > kRecordsMax) return false;
  to->run = from->run();
  to->confirmed = from->confirmed();
  for (const char state : from->states()) {
    const auto number = static_cast<uint8_t>(state);
    if (number > static_cast<uint8_t>(SweepState::kBusy)) return false;
    to->states.push_back(static_cast<SweepState>(number));
  }
  return true;
}

}  // namespace lariat::wire::internal
