// SPDX-License-Identifier: Apache-2.0
// What the cluster says of itself, in words for people. Pure functions of its JSON answers.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace lariat::cli {

// "yes", "NO" or "unknown": what is not said is not taken for down.
std::string AliveText(const boost::json::value& node);
// Formed, and every member alive, by the answer of /v1/cluster/status.
bool IsHealthy(const boost::json::value& status);

// How far a change is, 0 to 1, by its bytes or else by its ranges.
double ShareDone(const boost::json::value& operation);
// "task 12, decommission of node4: moving data 42 % (7 of 16 ranges), 31.0 MiB/s, 12 s left", with
// a bar if asked for, and with what it waits for.
std::string OperationText(const boost::json::value& operation, bool bar);
// "decommission of node4", of anything with `kind` and `node`.
std::string ChangeText(const boost::json::value& change);
// Local time; empty for 0.
std::string TimeText(double ms);

}  // namespace lariat::cli
