// SPDX-License-Identifier: Apache-2.0
// Accept, entity tags, If-None-Match: the readers alone, then what a client sees.
#include "frontend/http/internal/negotiation.h"

#include <gtest/gtest.h>

#include <string>

#include "causal/context.h"
#include "frontend/http/test_client.h"

namespace lariat::frontend::http {
namespace {

using testing::Ask;
using testing::FakeNode;
using testing::ParsedReply;

TEST(Accept, QualityOfTheMostSpecificRange) {
  EXPECT_EQ(LikingOf("", "text/plain").quality, -1);
  EXPECT_EQ(LikingOf("*/*", "text/plain").quality, 1000);
  EXPECT_EQ(LikingOf("text/*;q=0.3, text/plain;q=0.7, */*", "text/plain").quality, 700);
  EXPECT_EQ(LikingOf("text/*;q=0.3, text/plain;q=0.7, */*", "text/html").quality, 300);
  EXPECT_EQ(LikingOf("text/*;q=0.3, text/plain;q=0.7, */*", "image/png").quality, 1000);
  EXPECT_EQ(LikingOf("TEXT/Plain ; charset=x ; q=0.25", "text/plain; charset=utf-8").quality, 250);
  EXPECT_EQ(LikingOf("text/plain;q=0", "text/plain").quality, 0);
  EXPECT_EQ(LikingOf("text/html", "text/plain").quality, -1);
  for (const char* bad : {"text/plain;q=", "text/plain;q=2", "text/plain;q=.5", "text/plain;q=x"}) {
    EXPECT_EQ(LikingOf(bad, "text/plain").quality, 1000) << bad;
  }
  EXPECT_EQ(LikingOf(",,;;q=1,/*,*,text/", "text/plain").quality, -1);
}

TEST(Accept, FormOfAText) {
  const struct {
    const char* accept;
    Form form;
  } rows[] = {
      {"", Form::kRaw},
      {"*/*", Form::kRaw},
      {"application/json", Form::kJson},
      {"application/json, text/plain, */*", Form::kJson},
      {"application/json;q=0.5, */*;q=0.8", Form::kRaw},
      {"application/json;q=0.9, text/*;q=0.2", Form::kJson},
      {"application/json;q=0, text/plain", Form::kRaw},
      {"application/json;q=0", Form::kRaw},
      {"application/*", Form::kJson},
      {"text/html", Form::kRaw},
      {"text/html, text/plain;q=0", Form::kNone},
      {"*/*;q=0", Form::kNone},
      {"application/json;q=0.1, */*;q=0", Form::kJson},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ChooseForm(row.accept, "text/plain"), row.form) << row.accept;
  }
  // What is JSON itself is shown in the envelope to who names JSON, as ever.
  EXPECT_EQ(ChooseForm("application/json", "application/json"), Form::kJson);
}

TEST(Tags, AreComparedAsLists) {
  EXPECT_TRUE(MatchesTag("\"a\"", "\"a\""));
  EXPECT_TRUE(MatchesTag("*", "\"a\""));
  EXPECT_TRUE(MatchesTag(" \"b\" , W/\"a\",\"c\"", "\"a\""));
  EXPECT_TRUE(MatchesTag("\"x,y\",\"a\"", "W/\"a\""));
  for (const char* other : {"", "a", "\"b\"", "\"a", "\"b\" \"c\"", "W/a", "w/\"a\"", ",,,"}) {
    EXPECT_FALSE(MatchesTag(other, "\"a\"")) << other;
  }
}

TEST(Tags, NameTheContextInEveryForm) {
  EXPECT_EQ(ContextOfTag("\"AQ==\""), "AQ==");
  EXPECT_EQ(ContextOfTag("\"AQ==.json.12\""), "AQ==");
  for (const char* bad : {"", "AQ==", "\"\"", "\"a\",\"b\"", "W/\"a\"", "\"a", "\".json\""}) {
    EXPECT_EQ(ContextOfTag(bad), "") << bad;
  }
}

coordinator::GetReply OneOf(const std::string& context, const std::string& bytes) {
  coordinator::GetReply reply;
  reply.values = {{bytes, "", {0}, 0, {{"node1", 1}}}};
  reply.context = context;
  return reply;
}

TEST(Tags, ChangeWithWhatIsShown) {
  const coordinator::GetReply one = OneOf("c", "x");
  EXPECT_EQ(EntityTag(one, Form::kRaw), "\"c\"");
  EXPECT_EQ(EntityTag(one, Form::kJson), "\"c.json\"");
  // One of two siblings expires: the context stays.
  coordinator::GetReply two = one;
  two.values.push_back({"y", "", {0}, 0, {{"node2", 1}}});
  coordinator::GetReply other = two;
  other.values.pop_back();
  other.values.push_back({"z", "", {0}, 0, {{"node2", 2}}});
  EXPECT_NE(EntityTag(two, Form::kRaw), EntityTag(one, Form::kRaw));
  EXPECT_NE(EntityTag(two, Form::kRaw), EntityTag(other, Form::kRaw));
  EXPECT_NE(EntityTag(two, Form::kJson), EntityTag(other, Form::kJson));
  // Two lww writes with one stamp of a client: the greater value wins.
  causal::Context stamp;
  stamp.lww_stamp.packed = 7;
  const std::string text = causal::EncodeContext(stamp, "b", "k");
  EXPECT_TRUE(causal::NamesStamp(text));
  EXPECT_FALSE(causal::NamesStamp(causal::EncodeContext({}, "b", "k")));
  EXPECT_FALSE(causal::NamesStamp(""));
  EXPECT_NE(EntityTag(OneOf(text, "x"), Form::kRaw), EntityTag(OneOf(text, "y"), Form::kRaw));
  EXPECT_EQ(ContextOfTag(EntityTag(OneOf(text, "x"), Form::kJson)), text);
}

struct Negotiation : public ::testing::Test {
  ParsedReply Get(const std::string& path, const std::string& headers) {
    return Ask(node, "GET " + path, headers);
  }
  FakeNode node;
};

TEST_F(Negotiation, RepliesThatAcceptDecidesSaySo) {
  Ask(node, "PUT /kv/k", "Content-Type: text/plain\r\n", "hello");
  const ParsedReply raw = Get("/kv/k", "Accept: application/json;q=0.1, text/*\r\n");
  EXPECT_EQ(raw.body, "hello");
  EXPECT_EQ(raw.headers.at("vary"), "Accept");
  const ParsedReply json = Get("/kv/k", "Accept: application/json\r\n");
  EXPECT_EQ(json.headers.at("content-type"), "application/json");
  EXPECT_EQ(json.headers.at("vary"), "Accept");
  const ParsedReply none = Get("/kv/k", "Accept: */*;q=0\r\n");
  EXPECT_EQ(none.status, 406);
  EXPECT_EQ(none.headers.at("vary"), "Accept");
  EXPECT_EQ(Ask(node, "DELETE /kv/k").headers.at("vary"), "Accept");
  EXPECT_EQ(Get("/v1/kv/k", "").headers.count("vary"), 0u);
  EXPECT_EQ(Ask(node, "PUT /kv/k", "", "x").headers.count("vary"), 0u);
}

TEST_F(Negotiation, WhatTheClientHasIsNotSentAgain) {
  Ask(node, "PUT /kv/k", "", "hello");
  for (const std::string path : {"/kv/k", "/v1/kv/k"}) {
    const ParsedReply first = Get(path, "");
    const std::string tag = first.headers.at("etag");
    const ParsedReply again = Get(path, "If-None-Match: \"old\", " + tag + "\r\n");
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(again.headers.count("content-type"), 0u);
    for (const char* same : {"etag", "x-context", "last-modified"}) {
      if (first.headers.count(same) == 0) continue;
      EXPECT_EQ(again.headers.at(same), first.headers.at(same)) << same;
    }
    EXPECT_EQ(again.headers.count("vary"), first.headers.count("vary"));
    EXPECT_EQ(Ask(node, "HEAD " + path, "If-None-Match: *\r\n").status, 304);
    EXPECT_EQ(Get(path, "If-None-Match: \"old\"\r\n").status, 200);
  }
  // The tag of the bytes does not stand for the envelope, nor the other way round.
  const std::string bytes_tag = Get("/kv/k", "").headers.at("etag");
  const std::string headers = "Accept: application/json\r\nIf-None-Match: " + bytes_tag + "\r\n";
  EXPECT_EQ(Get("/kv/k", headers).status, 200);
  Ask(node, "PUT /kv/k", "If-Match: " + bytes_tag + "\r\n", "changed");
  EXPECT_EQ(node.kv.last_put.write.if_match, "ctx1");
  EXPECT_EQ(Get("/kv/k", "If-None-Match: " + bytes_tag + "\r\n").body, "changed");
  EXPECT_EQ(Get("/kv/gone", "If-None-Match: *\r\n").status, 404);
}

}  // namespace
}  // namespace lariat::frontend::http
