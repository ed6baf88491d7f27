// SPDX-License-Identifier: Apache-2.0
// Clients' lists, a page at a time: what is asked for is checked, so many pages are in work at once
// (limits.list_pages) and no more, and their time is kept. The shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "coordinator/deadlines.h"
#include "coordinator/internal/admission.h"
#include "coordinator/internal/op_context.h"
#include "coordinator/pages/page_op.h"

namespace lariat::coordinator {

class Pages {
 public:
  Pages(OpContext& context, Admission& admission, PageOp::ReadKey read_key)
      : context_(context), admission_(admission), read_key_(std::move(read_key)) {}

  // As KvService::List.
  void List(ListRequest request, ListDone done);
  void Tick(base::Instant now);

 private:
  struct Hedge {
    std::weak_ptr<PageOp> op;
    uint64_t round = 0;
  };

  base::Result<PageOp::Options> Check(ListRequest request) const;
  base::Status Admit();
  void Watch(const std::shared_ptr<PageOp>& op, base::Instant now);

  OpContext& context_;
  Admission& admission_;
  const PageOp::ReadKey read_key_;
  size_t in_work_ = 0;
  Deadlines<std::weak_ptr<PageOp>> deadlines_;
  Deadlines<Hedge> hedges_;
};

}  // namespace lariat::coordinator
