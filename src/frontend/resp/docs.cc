// SPDX-License-Identifier: Apache-2.0
// docs/redis.md: what people have to know, and the command table.
#include <fmt/format.h>

#include "frontend/resp/internal/handlers.h"
#include "frontend/resp/internal/server_facts.h"

namespace lariat::frontend::resp {
namespace {

constexpr std::string_view kPreface = R"(# The Redis protocol

Clients that speak the Redis protocol (RESP2, and RESP3 after `HELLO 3`) work against any node's
`listen.resp`, by default 127.0.0.1:7481. Every node serves every key; there is nothing like a
slot or a master to find. This page is made from the command table
(`src/frontend/resp/commands.def`).

    redis-cli -p 7481 set greeting hello
    redis-cli -p 7491 get greeting

## What it is in terms of Lariat

- `SELECT n`, n from 0 to 15, is the bucket `redis-n`. It is made on first use: kind `lww`, as
  many replicas as the bucket `default` has, reads and writes by majority. It may be made before,
  with other properties. HTTP sees the same keys: `GET /buckets/redis-0/kv/greeting`.
- Keys have 1 to 256 bytes, values up to `limits.value_bytes`. Expiries are to the millisecond.
- Siblings are never shown: of several values (in a bucket of kind `siblings`) commands see the
  newest, and a command that changes the key resolves them.
- An acknowledged write is on the disks of as many replicas as the bucket's `w` says. Errors begin
  with `-ERR` and the code that HTTP has: `insufficient_replicas` and `unavailable` are definitely
  not done, `outcome_unknown` may or may not be done. What Redis has an error for has Redis'
  words.

## What commands promise

- **Reads** (`GET`, `MGET`, ...) and **plain writes** (`SET`, `SETEX`, `MSET`) are those of the
  bucket: with majorities, a read sees every write that was answered before it began.
- **Commands that read and write one key** (`INCR`, `APPEND`, `SETRANGE`, `GETSET`, `GETDEL`,
  `GETEX`, `EXPIRE`, `PERSIST`, `SET` with `GET` or `KEEPTTL`) read it, and write on the condition
  that it has not changed since, at the key's first live replica; otherwise they begin again
  (`resp.update_tries`). `SET` with `NX` or `XX`, `SETNX` and `DEL` are conditional writes, too.
  While nodes agree on who is alive, no such command is lost or done twice against others of its
  kind. While they do not, two nodes may judge at once, and the later write wins: a counter may
  then miss an increment. A plain `SET` that meets one is ordered before or after it. Counters
  become exact with the types that merge; a lock needs a `serial` bucket.
- **Several keys** (`MGET`, `MSET`, `DEL`, `EXISTS`) may lie anywhere; there is no CROSSSLOT. Each
  key is read or changed for itself, and an error says that others may have been changed.
- **A pipeline** is worked on together, up to `resp.pipeline_max` commands at once; a command
  waits for an earlier one of its connection that touches the same key if either writes. Replies
  come in order.
- `WAIT` returns how many replicas beyond the first had the connection's last write when it was
  answered. It does not wait: the write has waited already.
- `LARIAT.ONCE id COMMAND ...` runs a command that writes under an idempotency id: a repeat within
  24 hours changes nothing more. A repeat of a command that reads and writes (`INCR`, ...) answers
  `REPLAYED`: what the first one answered is not kept.

## Limits

| what | limit |
| --- | --- |
| a command with its arguments | `resp.request_bytes_max`, `resp.arguments_max` |
| commands of a connection in work | `resp.pipeline_max`; further ones are read later |
| replies that wait for their client | `resp.output_bytes_max`, `resp.output_total_bytes_max` |
| a client that takes nothing | closed after `resp.write_stall_ms` |
| half a command | refused after `resp.request_timeout_ms` |
| connections | `resp.connections_max` of a shard; the one idle for longest makes room |

`CLIENT LIST`, `CLIENT KILL`, `SLOWLOG` and the counts of `INFO` are of the shard that the
connection is on; `/metrics` is of the node (`lariat_resp_*`). `used_memory` in
`INFO` is the size of the stored data.

## Clients of a Redis cluster

With `resp.cluster_mode = true` a node answers `CLUSTER SLOTS`, `SHARDS`, `NODES` and `KEYSLOT`,
for clients that want a map. It divides the 16,384 slots among the nodes that are alive, by their
share of the ring, and so spreads clients over them. Lariat places keys by another hash than
Redis, so the node of a slot is not always a replica of its keys, and hands on what it does not
hold. `MOVED` is never sent.

## Clients

Any client. redis-cli, redis-benchmark (`-t set,get,incr,mset`), redis-py and hiredis are tested.
There are no users yet: `AUTH` of the user `default` is accepted with any password, as in a Redis
without one.

## Commands
)";

std::string GroupTitle(Group group) {
  std::string title(LabelText(group));
  title[0] = static_cast<char>(title[0] - 'a' + 'A');
  return title;
}

std::string CodeText(const Command& command) {
  std::string code = UpperCase(command.container().empty() ? command.name : command.container());
  if (!command.container().empty()) code += " " + UpperCase(command.short_name());
  if (!command.arguments.empty()) code += " " + std::string(command.arguments);
  std::string escaped;
  for (const char c : code) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string RedisMarkdown() {
  std::string page(kPreface);
  for (size_t g = 0; g < static_cast<size_t>(Group::kUnknown); ++g) {
    const auto group = static_cast<Group>(g);
    std::string rows;
    for (const Command& command : CommandTable()) {
      if (command.group != group || !SubcommandsOf(command).empty()) continue;
      rows += fmt::format("| `{}` | {} |\n", CodeText(command), command.summary);
    }
    if (rows.empty()) continue;
    page += fmt::format("\n### {}\n\n| command | what it does |\n| --- | --- |\n{}",
                        GroupTitle(group), rows);
  }
  page += "\n## What is refused, and what to do instead\n";
  for (const bool later : {true, false}) {
    page += later ? "\nNot yet:\n\n" : "\nNever:\n\n";
    std::string_view why;
    for (const RefusedCommand& refused : RefusedTable()) {
      if (refused.later != later) continue;
      if (refused.why != why) page += fmt::format("{}- {}: ", why.empty() ? "" : "\n", refused.why);
      if (refused.why == why) page += ", ";
      why = refused.why;
      page += "`" + UpperCase(refused.name) + "`";
    }
    page += "\n";
  }
  return page;
}

}  // namespace lariat::frontend::resp
