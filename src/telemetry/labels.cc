// SPDX-License-Identifier: Apache-2.0
// One switch per enum, without default: a new value without a text does not compile.
#include "telemetry/labels.h"

namespace lariat::telemetry {

std::string_view LabelText(Op label) {
  switch (label) {
    case Op::kGet:
      return "get";
    case Op::kPut:
      return "put";
    case Op::kDelete:
      return "delete";
    case Op::kBucket:
      return "bucket";
    case Op::kList:
      return "list";
    case Op::kUpdate:
      return "update";
    case Op::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(Outcome label) {
  switch (label) {
    case Outcome::kOk:
      return "ok";
    case Outcome::kNotFound:
      return "not_found";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kNotDone:
      return "not_done";
    case Outcome::kUnknown:
      return "unknown";
    case Outcome::kTimeout:
      return "timeout";
    case Outcome::kError:
      return "error";
    case Outcome::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(ValueType label) {
  switch (label) {
    case ValueType::kCounter:
      return "counter";
    case ValueType::kRegister:
      return "register";
    case ValueType::kFlag:
      return "flag";
    case ValueType::kHll:
      return "hll";
    case ValueType::kSet:
      return "set";
    case ValueType::kMap:
      return "map";
    case ValueType::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(ReplicaOp label) {
  switch (label) {
    case ReplicaOp::kRead:
      return "read";
    case ReplicaOp::kDigest:
      return "digest";
    case ReplicaOp::kUpdate:
      return "update";
    case ReplicaOp::kWrite:
      return "write";
    case ReplicaOp::kRepair:
      return "repair";
    case ReplicaOp::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(PeerRefusal label) {
  switch (label) {
    case PeerRefusal::kBadMagic:
      return "bad_magic";
    case PeerRefusal::kBadVersion:
      return "bad_version";
    case PeerRefusal::kBadChecksum:
      return "bad_checksum";
    case PeerRefusal::kTooLarge:
      return "too_large";
    case PeerRefusal::kBadMessage:
      return "bad_message";
    case PeerRefusal::kOtherCluster:
      return "other_cluster";
    case PeerRefusal::kHandshake:
      return "handshake";
    case PeerRefusal::kNoRoom:
      return "no_room";
    case PeerRefusal::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(TlsFailure label) {
  switch (label) {
    case TlsFailure::kNotTls:
      return "not_tls";
    case TlsFailure::kOldVersion:
      return "old_version";
    case TlsFailure::kCertificate:
      return "certificate";
    case TlsFailure::kIdentity:
      return "identity";
    case TlsFailure::kRefused:
      return "refused";
    case TlsFailure::kTimeout:
      return "timeout";
    case TlsFailure::kTooMany:
      return "too_many";
    case TlsFailure::kClosed:
      return "closed";
    case TlsFailure::kOther:
      return "other";
    case TlsFailure::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(HttpRefusal label) {
  switch (label) {
    case HttpRefusal::kMalformed:
      return "malformed";
    case HttpRefusal::kHeadTooLarge:
      return "head_too_large";
    case HttpRefusal::kBodyTooLarge:
      return "body_too_large";
    case HttpRefusal::kTimeout:
      return "timeout";
    case HttpRefusal::kTooManyConnections:
      return "too_many_connections";
    case HttpRefusal::kOverloaded:
      return "overloaded";
    case HttpRefusal::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(RespGroup label) {
  switch (label) {
    case RespGroup::kConnection:
      return "connection";
    case RespGroup::kServer:
      return "server";
    case RespGroup::kGeneric:
      return "generic";
    case RespGroup::kString:
      return "string";
    case RespGroup::kCluster:
      return "cluster";
    case RespGroup::kLariat:
      return "lariat";
    case RespGroup::kUnknown:
      return "unknown";
    case RespGroup::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(LoginOutcome label) {
  switch (label) {
    case LoginOutcome::kOk:
      return "ok";
    case LoginOutcome::kWrong:
      return "wrong";
    case LoginOutcome::kLimited:
      return "limited";
    case LoginOutcome::kBusy:
      return "busy";
    case LoginOutcome::kFailed:
      return "failed";
    case LoginOutcome::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(AccessRefusal label) {
  switch (label) {
    case AccessRefusal::kUnauthenticated:
      return "unauthenticated";
    case AccessRefusal::kForbidden:
      return "forbidden";
    case AccessRefusal::kWouldRefuse:
      return "would_refuse";
    case AccessRefusal::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(RespRefusal label) {
  switch (label) {
    case RespRefusal::kProtocol:
      return "protocol";
    case RespRefusal::kTimeout:
      return "timeout";
    case RespRefusal::kTooManyConnections:
      return "too_many_connections";
    case RespRefusal::kOverloaded:
      return "overloaded";
    case RespRefusal::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(GossipRefusal label) {
  switch (label) {
    case GossipRefusal::kTooLarge:
      return "too_large";
    case GossipRefusal::kBadChecksum:
      return "bad_checksum";
    case GossipRefusal::kMalformed:
      return "malformed";
    case GossipRefusal::kNotMember:
      return "not_member";
    case GossipRefusal::kFarFuture:
      return "far_future";
    case GossipRefusal::kBadState:
      return "bad_state";
    case GossipRefusal::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(ProbeOutcome label) {
  switch (label) {
    case ProbeOutcome::kOk:
      return "ok";
    case ProbeOutcome::kFailed:
      return "failed";
    case ProbeOutcome::kCount:
      break;
  }
  return "";
}

std::string_view LabelText(SweepBlock label) {
  switch (label) {
    case SweepBlock::kGrace:
      return "grace";
    case SweepBlock::kNodeAway:
      return "node_away";
    case SweepBlock::kNotEverywhere:
      return "not_everywhere";
    case SweepBlock::kHints:
      return "hints";
    case SweepBlock::kTopology:
      return "topology";
    case SweepBlock::kUnclean:
      return "unclean";
    case SweepBlock::kBusy:
      return "busy";
    case SweepBlock::kCount:
      break;
  }
  return "";
}

}  // namespace lariat::telemetry
