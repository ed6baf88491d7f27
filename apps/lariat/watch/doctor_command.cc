// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "apps/lariat/commands.h"
#include "apps/lariat/terminal/output.h"
#include "apps/lariat/watch/cluster_checks.h"
#include "apps/lariat/watch/findings.h"

namespace lariat::cli {
namespace {

namespace json = boost::json;
using watch::Finding;
using watch::Findings;
using watch::Grade;

struct DoctorOptions {
  std::string directory = ".";
  bool host_only = false;
};

const char* GradeText(Grade grade) {
  switch (grade) {
    case Grade::kFine:
      return "ok";
    case Grade::kAdvice:
      return "advice";
    default:
      return "BAD";
  }
}

void ShowFindings(const Findings& findings) {
  for (const Finding& finding : findings) {
    Print("{:<7} {}: {}\n", GradeText(finding.grade), finding.about, finding.says);
    if (!finding.mend.empty()) Print("        {}\n", finding.mend);
  }
}

json::array AsJson(const Findings& findings) {
  json::array all;
  for (const Finding& finding : findings) {
    const char* grade = finding.grade == Grade::kBad ? "bad" : GradeText(finding.grade);
    all.push_back(json::object{{"grade", grade},
                               {"about", finding.about},
                               {"says", finding.says},
                               {"mend", finding.mend}});
  }
  return all;
}

Exit Doctor(const Common& common, const DoctorOptions& options) {
  Findings findings = watch::CheckHost(options.directory);
  Exit reached = Exit::kDone;
  if (!options.host_only) {
    auto looks = watch::Nodes(common).Look(true);
    if (looks) {
      const Findings nodes = watch::CheckNodes(*looks);
      findings.insert(findings.end(), nodes.begin(), nodes.end());
    } else {
      reached = looks.error();
    }
  }
  if (common.json) {
    Print("{}\n", json::serialize(json::object{{"findings", AsJson(findings)}}));
  } else {
    ShowFindings(findings);
  }
  if (reached != Exit::kDone) return reached;
  const bool bad = std::any_of(findings.begin(), findings.end(),
                               [](const Finding& finding) { return finding.grade == Grade::kBad; });
  return bad ? Exit::kUnhealthy : Exit::kDone;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command =
      AddCommand(app, session, "doctor",
                 "What is wrong with this machine and with each node, and the line that mends it",
                 "  lariat doctor\n  lariat doctor --dir /var/lib/lariat\n"
                 "  lariat doctor --host-only");
  command->add_option("--dir", options->directory,
                      "Directory whose disk is looked at (default: the present one)");
  command->add_flag("--host-only", options->host_only, "This machine alone; asks no node");
  command->callback([&session, options] {
    session.run = [&session, options] { return Doctor(session.common, *options); };
  });
}

}  // namespace lariat::cli
