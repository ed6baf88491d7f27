// SPDX-License-Identifier: Apache-2.0
#include "frontend/http/console/console.h"

#include <algorithm>

#include "base/check.h"
#include "frontend/http/internal/answers.h"
#include "frontend/http/internal/handlers.h"

namespace lariat::frontend::http {
namespace {

// What comes from this node and nothing else: no inline code, no other origin, no frame around it.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

// REQUIRES: the path is one of ConsoleFiles, as the rows of routes.def are.
void GetConsole(Request& request, Exchange exchange) {
  if (RefuseQuery(request, exchange)) return;
  const auto files = ConsoleFiles();
  const auto file = std::find_if(files.begin(), files.end(), [&request](const ConsoleFile& f) {
    return f.path == request.path;
  });
  LARIAT_CHECK(file != files.end(), "every path of the console has a file");
  exchange.Answer(telemetry::Outcome::kOk, [&file](Shared& shared, const Pending& waiting) {
    ReplyBuilder builder(shared, waiting.form, 200);
    builder.Add("Content-Security-Policy", kPolicy).Add("X-Content-Type-Options", "nosniff");
    builder.Add("Referrer-Policy", "no-referrer").Add("Cache-Control", "no-cache");
    return builder.Copy(file->type, file->text);
  });
}

}  // namespace lariat::frontend::http
