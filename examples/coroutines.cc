// SPDX-License-Identifier: Apache-2.0
// C++20: the reads of all keys are under way at once, on one thread.
#include <lariat/client.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

lariat::Future<bool> Copy(lariat::Client& client, std::string from, std::string to) {
  const auto read = co_await client.Get(from);
  if (!read) co_return false;
  const auto written = co_await client.Put(to, read->value());
  co_return written.ok();
}

}  // namespace

int main(int argc, char** argv) {
  lariat::ClientOptions options;
  if (argc > 1) options.nodes = {argv[1]};
  if (const char* ca = std::getenv("LARIAT_CA")) options.tls.ca_file = ca;  // nodes with TLS
  if (const char* user = std::getenv("LARIAT_USER")) options.user = user;
  if (const char* password = std::getenv("LARIAT_PASSWORD")) options.password = password;
  if (argc > 2 && argv[2] == std::string("redis")) options.protocol = lariat::Protocol::Redis;
  options.resolver = lariat::ResolveLatest;
  lariat::Client client(options);
  std::vector<lariat::Future<bool>> copies;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "source-" + std::to_string(i);
    if (!client.Put(key, "value of " + key).Get()) return 1;
    copies.push_back(Copy(client, key, "copy-" + std::to_string(i)));
  }
  int done = 0;
  for (auto& copy : copies) done += copy.Get() ? 1 : 0;
  std::cout << done << " copied\n";
  return done == 100 ? 0 : 1;
}
