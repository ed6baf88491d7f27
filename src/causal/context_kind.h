// SPDX-License-Identifier: Apache-2.0
// A look at a context's text that needs no bucket and key. Apart from context.h, for those who only
// pass contexts on.
#pragma once

#include <string_view>

namespace lariat::causal {

// It names an lww register's stamp. Two writes with one stamp of a client are told apart by their
// values alone, so such a context does not name a content; any other does.
bool NamesStamp(std::string_view context);

}  // namespace lariat::causal
