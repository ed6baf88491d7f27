// SPDX-License-Identifier: Apache-2.0
// One session, typed in: "put KEY VALUE" writes at QUORUM, "get KEY" reads at ADAPTIVE, "del KEY"
// deletes at QUORUM. Each line is answered by one: "ok", the value, or the code of the error; and
// how often the session had to ask more than one replica so far.
#include <lariat/client.h>

#include <iostream>
#include <sstream>
#include <string>

namespace {

template <typename T>
std::string Said(const lariat::Result<T>& result, const std::string& value) {
  return result ? value : std::string(NameOf(result.code()));
}

}  // namespace

int main(int argc, char** argv) {
  lariat::ClientOptions options;
  if (argc > 1) options.nodes.assign(argv + 1, argv + argc);
  options.resolver = lariat::ResolveLatest;
  lariat::Client client(options);
  lariat::Session session = client.NewSession();
  lariat::Blocking kv(session);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb, key, value, said = "put KEY VALUE | get KEY | del KEY";
    words >> verb >> key >> value;
    if (verb == "put") said = Said(kv.Put(key, value, lariat::Consistency::Quorum), "ok");
    if (verb == "del") said = Said(kv.Delete(key, lariat::Consistency::Quorum), "ok");
    if (verb == "get") {
      const auto read = kv.Get(key, lariat::Consistency::Adaptive);
      said = Said(read, read ? read->value() : "");
    }
    std::cout << said << ' ' << client.GetStats().escalations << '\n' << std::flush;
  }
}
