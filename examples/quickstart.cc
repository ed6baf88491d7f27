// SPDX-License-Identifier: Apache-2.0
#include <lariat/client.h>

#include <iostream>

int main(int argc, char** argv) {
  lariat::ClientOptions options;
  if (argc > 1) options.nodes = {argv[1]};   // one node is enough: it tells the others
  options.resolver = lariat::ResolveLatest;  // what becomes of concurrent writes
  lariat::Client client(options);
  lariat::Session session = client.NewSession();  // reads its own writes, on any node
  lariat::Blocking kv(session);                   // or session.Get(...).Then(...), or co_await

  const auto before = kv.Get("visits");
  if (!before && before.code() != lariat::Code::NotFound) {
    std::cerr << before.error().message << '\n';
    return 1;
  }
  const int visits = before ? std::stoi(before->value()) + 1 : 1;
  const auto put = kv.Put("visits", std::to_string(visits));
  if (!put) {
    const bool unknown = put.outcome() == lariat::Outcome::Unknown;
    std::cerr << (unknown ? "may be done: " : "not done: ") << put.error().message << '\n';
    return 1;
  }
  // One replica, as long as it shows what this session has seen; more only if it does not.
  const auto after = kv.Get("visits", lariat::Consistency::Adaptive);
  if (!after) return 1;
  std::cout << "visits: " << after->value() << '\n';
}
