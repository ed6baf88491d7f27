// SPDX-License-Identifier: Apache-2.0
#include "node/past/pasts.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/coding.h"

namespace lariat::node {

using base::Code;
using base::Fail;
using storage::Space;

namespace {

constexpr uint8_t kPastVersion = 1;
constexpr size_t kRunsMax = 4;  // of a member; of earlier ones the greatest is kept

std::string KeyOf(uint64_t member) { return "past/" + std::to_string(member); }

std::string EncodePast(const std::vector<Pasts::Said>& runs) {
  std::string bytes;
  base::ByteWriter w(&bytes);
  w.U8(kPastVersion);
  w.U32(static_cast<uint32_t>(runs.size()));
  for (const Pasts::Said& said : runs) {
    w.U64(said.run);
    w.U64(said.progress.confirmed);
    w.U64(said.progress.written);
    w.U64(said.progress.votes);
  }
  return bytes;
}

std::optional<std::vector<Pasts::Said>> Decode(std::string_view bytes) {
  base::ByteReader r(bytes);
  if (r.U8() != kPastVersion) return std::nullopt;
  const uint32_t count = r.U32();
  if (count > kRunsMax) return std::nullopt;
  std::vector<Pasts::Said> runs(count);
  for (Pasts::Said& said : runs) {
    said.run = r.U64();
    said.progress.confirmed = r.U64();
    said.progress.written = r.U64();
    said.progress.votes = r.U64();
  }
  if (!r.AtEnd()) return std::nullopt;
  return runs;
}

}  // namespace

base::Result<Pasts::ByMember> LoadPasts(storage::Engine& engine,
                                        const membership::Topology* topology) {
  Pasts::ByMember pasts;
  if (topology == nullptr) return pasts;
  for (const membership::Member& member : topology->members) {
    auto stored = engine.GetBlocking(Space::kMeta, KeyOf(member.Number()));
    if (!stored && stored.error().code == Code::kNotFound) continue;
    if (!stored) return Fail(stored.error());
    auto runs = Decode(*stored);
    if (!runs) return Fail(Code::kCorruption, "what is remembered of a member is damaged");
    pasts.emplace(member.Number(), std::move(*runs));
  }
  return pasts;
}

Pasts::Pasts(storage::Engine& engine, storage::CompletionQueue& queue, ByMember stored)
    : engine_(engine), queue_(queue), told_(std::make_shared<const ByMember>(std::move(stored))) {}

wire::Progress Pasts::Known(uint64_t member, uint64_t run) const {
  wire::Progress known;
  const auto told = std::atomic_load(&told_);
  const auto found = told->find(member);
  if (found == told->end()) return known;
  for (const Said& said : found->second) {
    if (said.run != run) known = wire::MaxOf(known, said.progress);
  }
  return known;
}

bool Pasts::Add(uint64_t member, const Said& said) {
  const auto before = told_->find(member);
  if (before != told_->end()) {
    for (const Said& known : before->second) {
      const bool same = known.run == said.run;
      if (same && wire::MaxOf(known.progress, said.progress) == known.progress) return false;
    }
  }
  auto told = std::make_shared<ByMember>(*told_);
  std::vector<Said>& runs = (*told)[member];
  const auto mine = std::find_if(runs.begin(), runs.end(),
                                 [&said](const Said& known) { return known.run == said.run; });
  if (mine != runs.end()) {
    mine->progress = wire::MaxOf(mine->progress, said.progress);
  } else {
    if (runs.size() == kRunsMax) {
      runs[1] = {0, wire::MaxOf(runs[0].progress, runs[1].progress)};
      runs.erase(runs.begin());
    }
    runs.push_back(said);
  }
  std::atomic_store(&told_, std::shared_ptr<const ByMember>(std::move(told)));
  news_.insert(member);
  return true;
}

void Pasts::Learn(uint64_t member, const Said& said) {
  if (said.run != 0) Add(member, said);
}

void Pasts::OnAccepted(uint64_t member, const Said& base) {
  auto accepted = std::make_shared<std::map<uint64_t, Said>>(*accepted_);
  (*accepted)[member] = base;
  std::atomic_store(&accepted_, std::shared_ptr<const std::map<uint64_t, Said>>(accepted));
}

bool Pasts::WasAccepted(uint64_t member, uint64_t run) const {
  const auto accepted = std::atomic_load(&accepted_);
  const auto found = accepted->find(member);
  return found != accepted->end() && found->second.run == run;
}

void Pasts::LearnDurably(const std::vector<wire::SweepRequest::Confirmed>& confirmed,
                         StatusDone done) {
  for (const auto& [member, run, how_far] : confirmed) {
    if (run != 0) Add(member, {run, {how_far, 0}});
    const auto in = accepted_->find(member);
    if (in == accepted_->end() || in->second.run == run) continue;
    if (in->second.progress.confirmed < how_far) {
      return done(
          Fail(Code::kConflict, "a replica that confirmed came back with an old directory"));
    }
  }
  if (!news_.empty()) {
    if (auto status = Store(); !status) return done(std::move(status));
  }
  if (synced_ == stored_) return done({});
  engine_.Sync(&queue_,
               [this, stored = stored_, done = std::move(done)](base::Status status) mutable {
                 if (status) synced_ = std::max(synced_, stored);
                 done(std::move(status));
               });
}

void Pasts::StoreNews() {
  if (!news_.empty()) (void)Store();  // at the next call, if it was refused
}

base::Status Pasts::Store() {
  storage::WriteBatch batch;
  for (const uint64_t member : news_) {
    batch.Put(Space::kMeta, KeyOf(member), EncodePast(told_->at(member)));
  }
  if (auto status = engine_.Write(batch); !status) return status;
  news_.clear();
  ++stored_;
  return {};
}

void Pasts::Keep(const membership::Topology& topology) {
  std::set<uint64_t> members;
  for (const membership::Member& member : topology.members) members.insert(member.Number());
  storage::WriteBatch batch;
  auto told = std::make_shared<ByMember>(*told_);
  std::erase_if(*told, [&members, &batch](const auto& entry) {
    if (members.contains(entry.first)) return false;
    batch.Remove(Space::kMeta, KeyOf(entry.first));
    return true;
  });
  if (told->size() == told_->size()) return;
  std::erase_if(news_, [&members](uint64_t member) { return !members.contains(member); });
  auto accepted = std::make_shared<std::map<uint64_t, Said>>(*accepted_);
  std::erase_if(*accepted, [&members](const auto& in) { return !members.contains(in.first); });
  std::atomic_store(&accepted_, std::shared_ptr<const std::map<uint64_t, Said>>(accepted));
  (void)engine_.Write(batch);  // refused: some bytes that nobody reads
  std::atomic_store(&told_, std::shared_ptr<const ByMember>(std::move(told)));
}

}  // namespace lariat::node
