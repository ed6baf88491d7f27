// SPDX-License-Identifier: Apache-2.0
// The rows of routes.def as paths.
#pragma once

#include <boost/json/object.hpp>

namespace lariat::frontend::http {

// `components`: those that no table describes; a row names its responses among them.
boost::json::object Paths(const boost::json::object& components);

}  // namespace lariat::frontend::http
