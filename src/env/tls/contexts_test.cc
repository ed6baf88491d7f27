// SPDX-License-Identifier: Apache-2.0
#include "env/tls/contexts.h"

#include "env/tls/names.h"
#include "env/tls/tls_test_util.h"

namespace lariat::env::tls {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Refused(const Files& files, const std::string& node = "n1") {
  const auto made = Contexts::Make(files, node, RealNow());
  return made ? "" : made.error().message;
}

TEST(Names, AreOneTextEach) {
  const Name node{Name::Kind::kNode, "prod", "node 1/a"};
  EXPECT_EQ(ToUri(node), "lariat:cluster/prod/node/node%201%2Fa");
  EXPECT_EQ(ParseUri(ToUri(node)), node);
  const Name user{Name::Kind::kUser, "p", "ann"};
  EXPECT_EQ(ParseUri("lariat:cluster/p/user/ann"), user);
  EXPECT_EQ(ParseUri("lariat:cluster/p")->kind, Name::Kind::kAuthority);
  for (const char* bad :
       {"lariat:cluster/", "lariat:cluster//node/a", "lariat:cluster/p/node/",
        "lariat:cluster/p/nod/a", "lariat:cluster/p/node/a/b", "lariat:cluster/p/node/%6",
        "lariat:cluster/p/node/%61", "lariat:cluster/p/node/%2f", "lariat:cluster/p/node/a b",
        "http://lariat:cluster/p/node/a", ""}) {
    EXPECT_FALSE(ParseUri(bad).has_value()) << bad;
  }
}

TEST(Contexts, TakeWhatFits) {
  const TestAuthority authority("prod");
  const auto made = Contexts::Make(authority.Node("n1"), "n1", RealNow());
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ((*made)->cluster(), "prod");
  EXPECT_NEAR(static_cast<double>((*made)->expires_s()), static_cast<double>(RealNow() + 86400),
              60);
}

TEST(Contexts, SayWhichFileIsWrongAndWhatToDo) {
  const TestAuthority authority;
  const Files good = authority.Node("n1");
  Files files = good;
  files.key = authority.Node("n1").key;
  EXPECT_THAT(Refused(files),
              AllOf(HasSubstr("key_file is not the key of cert_file"), HasSubstr("made together")));
  files = good;
  files.ca = TestAuthority("test").Node("n1").ca;
  EXPECT_THAT(Refused(files), HasSubstr("cert_file is not what ca_file vouches for"));
  EXPECT_THAT(Refused(authority.Node("n1", {RealNow() - 9 * 86400, RealNow() - 3 * 86400})),
              AllOf(HasSubstr("cert_file has expired, 3 days ago"), HasSubstr("--force")));
  EXPECT_THAT(Refused(authority.Node("n1", {RealNow() + 600, RealNow() + 86400})),
              HasSubstr("not valid yet"));
  EXPECT_THAT(Refused(good, "n2"), HasSubstr("is that of the node 'n1', and this node is 'n2'"));
  EXPECT_THAT(Refused(authority.Of(*IssueUser(authority.issued, "n1", Good()))),
              HasSubstr("vouches for as a node"));
  for (Pem Files::*each : {&Files::cert, &Files::key, &Files::ca}) {
    files = good;
    (files.*each).text = "-----BEGIN NONSENSE-----";
    EXPECT_THAT(Refused(files), HasSubstr((good.*each).where + " holds no")) << (good.*each).where;
  }
}

TEST(Issue, NeverOutlivesTheAuthorityAndChecksNames) {
  const TestAuthority authority("p", {RealNow() - 60, RealNow() + 1000});
  const auto leaf = IssueNode(authority.issued, "n", {}, Good());
  EXPECT_LE(NotAfter(ReadCertificates(leaf->certificate)[0].get()), RealNow() + 1001);
  EXPECT_FALSE(IssueNode(authority.issued, "", {}, Good()).has_value());
  EXPECT_FALSE(IssueNode(authority.issued, std::string(65, 'x'), {}, Good()).has_value());
  for (const char* host : {"a b", "", "a,DNS:evil", "http://x"}) {
    EXPECT_FALSE(IssueNode(authority.issued, "n", {host}, Good()).has_value()) << host;
  }
  EXPECT_TRUE(IssueNode(authority.issued, "n", {"::1", "10.0.0.1", "a.example"}, Good()));
  EXPECT_FALSE(IssueUser(*leaf, "u", Good()).has_value());  // a leaf signs nothing
}

}  // namespace
}  // namespace lariat::env::tls
