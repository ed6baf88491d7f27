// SPDX-License-Identifier: Apache-2.0
// The members of a cluster and what each of them tells of itself. Blocking; one thread.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/lariat/session.h"
#include "apps/lariat/watch/exposition.h"

namespace lariat::cli::watch {

struct NodeLook {
  std::string name;
  std::string address;        // of its HTTP, as the members know it
  boost::json::value status;  // its entry in /v1/cluster/status of the node that was asked
  std::string problem;        // why it does not answer; empty if it does
  std::optional<Exposition> metrics;
  std::optional<boost::json::value> ready;  // the body of its /readyz if that is not 200
};

class Nodes {
 public:
  explicit Nodes(const Common& common) : common_(common) {}
  // Asks the first node that answers for the members, and each of them for its metrics; with
  // `and_ready` for its readiness too. An exit code, already explained, if no node answers.
  tl::expected<std::vector<NodeLook>, Exit> Look(bool and_ready);

 private:
  NodeLook LookAt(const boost::json::value& member, bool and_ready);

  const Common& common_;
};

}  // namespace lariat::cli::watch
