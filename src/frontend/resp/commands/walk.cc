// SPDX-License-Identifier: Apache-2.0
// All keys of a database: SCAN, KEYS, RANDOMKEY, DBSIZE. A cursor is the token at which the walk
// goes on, so any node takes it; 0, where it also begins, says that nothing is left.
#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "frontend/resp/internal/connection.h"
#include "frontend/resp/internal/glob.h"
#include "frontend/resp/internal/handlers.h"

namespace lariat::frontend::resp::commands {
namespace {

using coordinator::ListReply;

constexpr int64_t kScanCount = 10;                  // as in Redis
constexpr size_t kKeysMax = 100000;                 // of KEYS
constexpr std::string_view kStringType = "string";  // of all that a database holds

coordinator::ListRequest PageFrom(const Call& call, uint64_t token, int64_t limit) {
  const coordinator::GetRequest like = call.Get("");
  coordinator::ListRequest page;
  page.bucket = like.bucket;
  page.limit = std::clamp<int64_t>(limit, 1, coordinator::kListLimitMax);
  page.from_token = token;
  page.consistency = like.consistency;
  page.caller = like.caller;
  return page;
}

std::optional<uint64_t> ParseCursor(std::string_view text) {
  uint64_t cursor = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(cursor) : std::nullopt;
}

struct ScanOptions {
  std::string match = "*";
  int64_t count = kScanCount;
  bool shows_strings = true;
};

// False: the call is answered.
bool ParseScanOptions(Call& call, Args args, ScanOptions* options) {
  for (size_t i = 2; i < args.size(); i += 2) {
    const bool has_value = i + 1 < args.size();
    if (has_value && EqualsIgnoringCase(args[i], "match")) {
      options->match = args[i + 1];
    } else if (has_value && EqualsIgnoringCase(args[i], "count")) {
      const auto count = ParseInt(args[i + 1]);
      if (!count) return call.NotAnInteger(), false;
      if (*count < 1) return call.SyntaxError(), false;
      options->count = *count;
    } else if (has_value && EqualsIgnoringCase(args[i], "type")) {
      options->shows_strings = EqualsIgnoringCase(args[i + 1], kStringType);
    } else {
      return call.SyntaxError(), false;
    }
  }
  return true;
}

void AnswerScan(Call& call, const ScanOptions& options, const ListReply& page) {
  std::vector<std::string_view> shown;
  for (const coordinator::ListedKey& key : page.keys) {
    if (!options.shows_strings || !GlobMatches(options.match, key.key, Case::kMatters)) continue;
    shown.push_back(key.key);
  }
  ReplyWriter writer = call.Writer();
  writer.Array(2).Bulk(std::to_string(page.next_token)).Array(shown.size());
  for (const std::string_view key : shown) writer.Bulk(key);
  call.Answer(writer);
}

// KEYS, page after page.
struct Gathering {
  Call call;
  std::string pattern;
  coordinator::ListRequest page;
  size_t examined = 0;
  std::vector<std::string> found = {};
};

void GatherNext(const std::shared_ptr<Gathering>& work);

void OnGathered(const std::shared_ptr<Gathering>& work, base::Result<ListReply> page) {
  if (!work->call.shared().alive) return;
  if (!page) return work->call.Refuse(page.error());
  work->examined += page->keys.size();
  for (coordinator::ListedKey& key : page->keys) {
    if (!GlobMatches(work->pattern, key.key, Case::kMatters)) continue;
    work->found.push_back(std::move(key.key));
  }
  if (page->next_token != 0 && work->examined > kKeysMax) {
    return work->call.Refuse({base::Code::kTooLarge,
                              "the database has too many keys for KEYS (more than 100000); use "
                              "SCAN"});
  }
  if (page->next_token != 0) {
    work->page.from_token = page->next_token;
    return GatherNext(work);
  }
  ReplyWriter writer = work->call.Writer();
  writer.Array(work->found.size());
  for (const std::string& key : work->found) writer.Bulk(key);
  work->call.Answer(writer);
}

void GatherNext(const std::shared_ptr<Gathering>& work) {
  work->call.shared().kv.List(
      work->page, [work](base::Result<ListReply> page) { OnGathered(work, std::move(page)); });
}

// RANDOMKEY: from a random token on, over the end to the start once.
struct Seeking {
  Call call;
  coordinator::ListRequest page;
  bool wrapped = false;
};

void SeekNext(const std::shared_ptr<Seeking>& work);

void OnSought(const std::shared_ptr<Seeking>& work, base::Result<ListReply> page) {
  if (!work->call.shared().alive) return;
  if (!page) return work->call.Refuse(page.error());
  if (!page->keys.empty()) {
    const uint64_t random = work->call.shared().env.entropy.Next();
    return work->call.Bulk(std::move(page->keys[random % page->keys.size()].key));
  }
  if (page->next_token == 0 && std::exchange(work->wrapped, true)) return work->call.Null();
  work->page.from_token = page->next_token;
  SeekNext(work);
}

void SeekNext(const std::shared_ptr<Seeking>& work) {
  work->call.shared().kv.List(
      work->page, [work](base::Result<ListReply> page) { OnSought(work, std::move(page)); });
}

}  // namespace

void Scan(Call call, Args args) {
  const auto cursor = ParseCursor(args[1]);
  if (!cursor) return call.Error("ERR invalid cursor");
  ScanOptions options;
  if (!ParseScanOptions(call, args, &options)) return;
  coordinator::KvService& kv = call.shared().kv;
  auto page = PageFrom(call, *cursor, options.count);
  kv.List(std::move(page), [call = std::move(call),
                            options = std::move(options)](base::Result<ListReply> listed) mutable {
    if (!call.shared().alive) return;
    if (!listed) return call.Refuse(listed.error());
    AnswerScan(call, options, *listed);
  });
}

void Keys(Call call, Args args) {
  auto page = PageFrom(call, 0, coordinator::kListLimitMax);
  GatherNext(std::make_shared<Gathering>(
      Gathering{std::move(call), std::string(args[1]), std::move(page)}));
}

void RandomKey(Call call, Args) {
  constexpr int64_t kChoice = 16;
  auto page = PageFrom(call, call.shared().env.entropy.Next(), kChoice);
  SeekNext(std::make_shared<Seeking>(Seeking{std::move(call), std::move(page)}));
}

void DbSize(Call call, Args) {
  const coordinator::ListRequest like = PageFrom(call, 0, 1);
  coordinator::KvService& kv = call.shared().kv;
  coordinator::EstimateRequest request{like.bucket, false, like.consistency, like.caller};
  kv.Estimate(
      std::move(request),
      [call = std::move(call)](const base::Result<coordinator::EstimateReply>& reply) mutable {
        if (!call.shared().alive) return;
        if (!reply) return call.Refuse(reply.error());
        call.Int(static_cast<int64_t>(reply->keys));
      });
}

}  // namespace lariat::frontend::resp::commands
