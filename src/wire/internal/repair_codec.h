// SPDX-License-Identifier: Apache-2.0
// The part of the codec that is about repair_messages.h. Put moves the content out of the value,
// Take out of the message; outcomes are the caller's. False from Take: the message is not valid.
#pragma once

#include "messages.pb.h"
#include "wire/repair_messages.h"

namespace lariat::wire::internal {

void PutBody(TreeRequest&& from, pb::TreeRequest* to);
void PutBody(TreeReply&& from, pb::TreeReply* to);
void PutBody(LeafRequest&& from, pb::LeafRequest* to);
void PutBody(LeafReply&& from, pb::LeafReply* to);
void PutBody(FetchRequest&& from, pb::FetchRequest* to);
void PutBody(FetchReply&& from, pb::FetchReply* to);
void PutBody(RecordPush&& from, pb::RecordPush* to);
void PutBody(HintsRequest&& from, pb::HintsRequest* to);
void PutBody(HintsReply&& from, pb::HintsReply* to);
void PutBody(SweepRequest&& from, pb::SweepRequest* to);
void PutBody(SweepReply&& from, pb::SweepReply* to);

bool TakeBody(pb::TreeRequest* from, TreeRequest* to);
bool TakeBody(pb::TreeReply* from, TreeReply* to);
bool TakeBody(pb::LeafRequest* from, LeafRequest* to);
bool TakeBody(pb::LeafReply* from, LeafReply* to);
bool TakeBody(pb::FetchRequest* from, FetchRequest* to);
bool TakeBody(pb::FetchReply* from, FetchReply* to);
bool TakeBody(pb::RecordPush* from, RecordPush* to);
bool TakeBody(pb::HintsRequest* from, HintsRequest* to);
bool TakeBody(pb::HintsReply* from, HintsReply* to);
bool TakeBody(pb::SweepRequest* from, SweepRequest* to);
bool TakeBody(pb::SweepReply* from, SweepReply* to);

}  // namespace lariat::wire::internal
