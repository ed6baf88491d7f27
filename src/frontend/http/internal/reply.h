// SPDX-License-Identifier: Apache-2.0
// Builds the bytes of replies. Small bodies are copied behind the head, so that a reply is one
// write; large ones are moved beside it, so that a value is not copied.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "coordinator/kv_service.h"
#include "frontend/connection/outbox.h"
#include "frontend/http/internal/errors.h"
#include "frontend/http/internal/shared.h"

namespace lariat::frontend::http {

using connection::Reply;

class JsonWriter;

// What the request says about the form of its reply.
struct ReplyForm {
  bool head_only = false;  // HEAD: everything but the body
  bool http11 = true;
  bool close = false;       // the connection ends with this reply
  bool varies = false;      // Accept has a say: raw dialect only
  bool wants_json = false;  // DELETE of the raw dialect only
};

constexpr std::string_view kJsonType = "application/json";
constexpr size_t kBatchReplyBytesMax = 16 << 20;

// "name: value\r\n", for what this program composes itself.
void AppendField(std::string& out, std::string_view name, std::string_view value);
// For what others have given. Control bytes are replaced: stored texts must not break a head.
void AppendForeignField(std::string& out, std::string_view name, std::string_view value);

class ReplyBuilder {
 public:
  ReplyBuilder(Shared& shared, const ReplyForm& form, int status);
  ReplyBuilder& Add(std::string_view name, std::string_view value);
  ReplyBuilder& AddNumber(std::string_view name, int64_t value);
  ReplyBuilder& AddDate(std::string_view name, base::WallTime time);
  ReplyBuilder& AddVersion(const coordinator::Version& version);
  ReplyBuilder& AddReplicas(const coordinator::Participation& replicas);
  // Nothing for an empty context.
  ReplyBuilder& AddContext(std::string_view context);
  Reply Copy(std::string_view content_type, std::string_view body);
  Reply Move(std::string_view content_type, std::string body);
  Reply NoContent();  // 204 and 304 only: neither type nor length

 private:
  void EndHead(std::string_view content_type, size_t body_size);

  const ReplyForm& form_;
  Reply reply_;
};

Reply JsonReply(Shared& shared, const ReplyForm& form, int status, std::string_view body);
// The member "error".
void WriteError(JsonWriter& json, const Refusal& refusal);
// `context`: what a 404 tells about the key's past; may be empty.
Reply RefusalReply(Shared& shared, const ReplyForm& form, const Refusal& refusal,
                   std::string_view context = {});

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string ImfFixdate(base::WallTime time);
// "[(node1,5),(node2,3)]"
std::string VersionText(const coordinator::Version& version);

}  // namespace lariat::frontend::http
