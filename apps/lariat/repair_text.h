// SPDX-License-Identifier: Apache-2.0
// How it stands with repair, in words for people. Pure functions of the nodes' JSON answers.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <string>
#include <vector>

namespace lariat::cli {

// Of the tasks of all nodes together: "repair [####....] 42 %, 1.5 MiB sent, 12 records, 3 s left".
// `silent`: names of nodes that do not answer now; how long it takes is not known then.
std::string RepairProgressText(const boost::json::array& tasks, const std::string& silent,
                               bool bar);
// "node1: done, 12 records and 1.5 MiB sent" or what went wrong.
std::string RepairEndText(const boost::json::value& summary);
// How much of each bucket's token space, 0 to 1, is in no answer: all its replicas are down.
// Buckets that are answered for as a whole are left out.
std::map<std::string, double> Unanswered(const std::vector<std::string>& buckets,
                                         const boost::json::array& answers);
std::string UnansweredText(const std::map<std::string, double>& unanswered);
// Nothing is damaged, dirty or in doubt.
bool IsHealthy(const boost::json::array& answers);
// A table of ranges and lines about comparisons, hints, sweep and scrub. `answers` have `node` and
// `repair`.
std::string RepairStatusText(const boost::json::array& answers, double now_ms);

}  // namespace lariat::cli
