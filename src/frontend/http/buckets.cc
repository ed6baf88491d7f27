// SPDX-License-Identifier: Apache-2.0
// Bucket properties as JSON. A PUT changes what it names and keeps the rest.
#include "frontend/http/internal/buckets.h"

#include <algorithm>
#include <utility>

#include "frontend/http/internal/bad_request.h"
#include "frontend/http/internal/flat_json.h"
#include "frontend/http/internal/handlers.h"
#include "frontend/http/internal/json_writer.h"
#include "frontend/http/internal/kv_request.h"

namespace lariat::frontend::http {
namespace {

using base::Code;
using membership::BucketProperties;
using telemetry::Outcome;

constexpr std::string_view kEventualWarning =
    "R + W <= N: a read may miss the latest acknowledged write, and a value once read may be gone "
    "in the next read";

// What a PUT says about counts; "quorum" and "all" depend on n, which may stand behind them.
struct Count {
  enum class Kind : uint8_t { kNumber, kQuorum, kAll } kind = Kind::kNumber;
  uint32_t number = 0;
};
struct Change {
  BucketProperties bucket;
  std::optional<Count> r, w;
  const config::Settings& settings;
};

// Known to the interface, not to this version.
base::Status OnlyValue(JsonMember& member, std::string_view only,
                       std::initializer_list<std::string_view> later) {
  const auto text = TakeText(member);
  if (!text) return base::Fail(text.error());
  if (*text == only) return {};
  const bool known = std::find(later.begin(), later.end(), *text) != later.end();
  return base::Fail(known ? Code::kUnsupported : Code::kInvalidArgument,
                    "'" + member.name + "': '" + *text + "' is " +
                        (known ? "not in this version or configuration" : "unknown") +
                        "; the only value is '" + std::string(only) + "'");
}

base::Status OnlyFalse(JsonMember& member) {
  const auto flag = TakeBool(member);
  if (!flag) return base::Fail(flag.error());
  if (!*flag) return {};
  return base::Fail(Code::kUnsupported, "'" + member.name + "' is not in this version");
}

base::Status ReadFlag(JsonMember& member, bool& to) {
  const auto flag = TakeBool(member);
  if (!flag) return base::Fail(flag.error());
  to = *flag;
  return {};
}

base::Status ReadNumber(const JsonMember& member, uint32_t& to) {
  const auto number = TakeCount(member);
  if (!number) return base::Fail(number.error());
  if (*number > UINT32_MAX) return Bad("'" + member.name + "' is too large");
  to = static_cast<uint32_t>(*number);
  return {};
}

base::Status ReadPercent(const JsonMember& member, uint32_t& to) {
  const auto number = TakeCount(member);
  if (!number || *number > 100) return Bad("'" + member.name + "' is 0 to 100 percent");
  to = static_cast<uint32_t>(*number);
  return {};
}

base::Status ReadCount(const JsonMember& member, std::optional<Count>& to) {
  Count count;
  if (const auto* text = std::get_if<std::string>(&member.value)) {
    if (EqualsIgnoringCase(*text, "quorum")) {
      count.kind = Count::Kind::kQuorum;
    } else if (EqualsIgnoringCase(*text, "all")) {
      count.kind = Count::Kind::kAll;
    } else if (EqualsIgnoringCase(*text, "one")) {
      count.number = 1;
    } else {
      return Bad("'" + member.name + R"(' must be a number, "one", "quorum" or "all")");
    }
  } else if (auto read = ReadNumber(member, count.number); !read) {
    return read;
  }
  to = count;
  return {};
}

base::Status ReadSeconds(const JsonMember& member, uint64_t& to) {
  const auto seconds = TakeCount(member);
  if (!seconds) return base::Fail(seconds.error());
  to = static_cast<uint64_t>(*seconds);
  return {};
}

template <typename T>
base::Status ReadChoice(JsonMember& member, base::Result<T> (*parse)(std::string_view), T& to) {
  const auto text = TakeText(member);
  if (!text) return base::Fail(text.error());
  auto parsed = parse(*text);
  if (!parsed) return base::Fail(std::move(parsed.error()));
  to = *parsed;
  return {};
}

base::Status ReadSame(JsonMember& member, const std::string& name) {
  const auto text = TakeText(member);
  if (!text) return base::Fail(text.error());
  return *text == name ? base::Status() : Bad("'name' is not the name in the path");
}

struct Property {
  PropertyInfo info;
  base::Status (*read)(JsonMember& m, Change& c);
  void (*write)(JsonWriter& json, const BucketProperties& b, const config::Settings& s);
};
constexpr Property kProperties[] = {
#define LARIAT_PROPERTY(name, read_it, write_it, schema, asked)                        \
  {{#name, schema, asked},                                                             \
   []([[maybe_unused]] JsonMember& m, [[maybe_unused]] Change& c) { return read_it; }, \
   [](JsonWriter& json, [[maybe_unused]] const BucketProperties& b,                    \
      [[maybe_unused]] const config::Settings& s) { json.Key(#name).write_it; }},
#include "frontend/http/buckets.def"
#undef LARIAT_PROPERTY
};

uint32_t Resolve(const Count& count, uint32_t n) {
  switch (count.kind) {
    case Count::Kind::kQuorum:
      return n / 2 + 1;
    case Count::Kind::kAll:
      return n;
    case Count::Kind::kNumber:
      return count.number;
  }
  return count.number;
}

base::Status Apply(std::string_view body, Change& change) {
  auto members = ParseFlatJson(body);
  if (!members) return base::Fail(std::move(members.error()));
  for (JsonMember& member : *members) {
    if (member.name == "replication") {
      return base::Fail(Code::kUnsupported, "'replication' is not in this version");
    }
    const auto* property =
        std::find_if(std::begin(kProperties), std::end(kProperties),
                     [&](const Property& row) { return row.info.name == member.name; });
    if (property == std::end(kProperties)) return Bad("unknown property '" + member.name + "'");
    if (auto read = property->read(member, change); !read) return read;
  }
  if (change.r) change.bucket.r = Resolve(*change.r, change.bucket.n);
  if (change.w) change.bucket.w = Resolve(*change.w, change.bucket.n);
  return {};
}

// Leaves the object open.
void WriteProperties(JsonWriter& json, const BucketProperties& bucket,
                     const config::Settings& settings) {
  json.BeginObject();
  for (const Property& property : kProperties) property.write(json, bucket, settings);
}

// `warning` may be empty.
void AnswerBucket(Exchange& exchange, int status, const BucketProperties& bucket,
                  std::string_view warning) {
  exchange.Answer(Outcome::kOk, [&](Shared& shared, const Pending& waiting) {
    std::string body;
    JsonWriter json(&body);
    WriteProperties(json, bucket, shared.settings);
    if (!warning.empty()) json.Key("warning").Text(warning);
    json.EndObject();
    return JsonReply(shared, waiting.form, status, body);
  });
}

// A majority stays one whatever n will be.
void KeepMajorities(Change& change) {
  const uint32_t majority = membership::MajorityOf(change.bucket.n);
  if (change.bucket.r == majority) change.r = Count{Count::Kind::kQuorum};
  if (change.bucket.w == majority) change.w = Count{Count::Kind::kQuorum};
}

// What a bucket is before its first definition: as many replicas as the bucket 'default' has, which
// fit the cluster, and majorities.
void SetDefaults(const coordinator::KvService& kv, Change& change) {
  if (const auto usual = kv.Bucket("default")) change.bucket.n = usual->n;
  change.bucket.r = change.bucket.w = membership::MajorityOf(change.bucket.n);
  if (auto durability = membership::ParseDurability(change.settings.storage_durability)) {
    change.bucket.durability = *durability;
  }
}

}  // namespace

std::vector<PropertyInfo> PropertyTable() {
  std::vector<PropertyInfo> table;
  for (const Property& property : kProperties) table.push_back(property.info);
  return table;
}

void ListBuckets(Request& request, Exchange exchange) {
  if (!request.query.empty()) return exchange.Refuse(BadRequest("this path takes no query"));
  const coordinator::Caller caller = exchange.caller();
  exchange.Answer(Outcome::kOk, [&caller](Shared& shared, const Pending& waiting) {
    std::string body;
    JsonWriter json(&body);
    json.BeginObject().Key("buckets").BeginArray();
    for (const BucketProperties& bucket : shared.kv.Buckets()) {
      if (!shared.access.Sees(caller, bucket.name)) continue;
      WriteProperties(json, bucket, shared.settings);
      json.EndObject();
    }
    json.EndArray().EndObject();
    return JsonReply(shared, waiting.form, 200, body);
  });
}

void GetBucket(Request& request, Exchange exchange) {
  if (!request.query.empty()) return exchange.Refuse(BadRequest("this path takes no query"));
  auto name = BucketOf(request);
  if (!name) return exchange.Refuse(std::move(name.error()));
  auto bucket = exchange.shared().kv.Bucket(*name);
  if (!bucket) return exchange.Refuse(std::move(bucket.error()));
  AnswerBucket(exchange, 200, *bucket, {});
}

void PutBucket(Request& request, Exchange exchange) {
  if (!request.query.empty()) return exchange.Refuse(BadRequest("this path takes no query"));
  auto name = BucketOf(request);
  if (!name) return exchange.Refuse(std::move(name.error()));
  auto present = exchange.shared().kv.Bucket(*name);
  if (!present && present.error().code != Code::kNotFound) {
    return exchange.Refuse(std::move(present.error()));
  }
  const int status = present ? 200 : 201;
  Change change{.bucket = {}, .r = {}, .w = {}, .settings = exchange.shared().settings};
  if (present) {
    change.bucket = std::move(*present);
  } else {
    change.bucket.name = std::move(*name);
    SetDefaults(exchange.shared().kv, change);
  }
  KeepMajorities(change);
  if (auto applied = Apply(request.body, change); !applied) {
    return exchange.Refuse(std::move(applied.error()));
  }
  BucketProperties shown = change.bucket;
  const coordinator::Caller caller = exchange.caller();
  exchange.shared().kv.SetBucket(std::move(change.bucket), caller,
                                 [exchange = std::move(exchange), status,
                                  shown = std::move(shown)](base::Status result) mutable {
                                   if (!result) return exchange.Refuse(std::move(result.error()));
                                   AnswerBucket(
                                       exchange, status, shown,
                                       shown.Eventual() ? kEventualWarning : std::string_view());
                                 });
}

}  // namespace lariat::frontend::http
