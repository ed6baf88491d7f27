// SPDX-License-Identifier: Apache-2.0
// The values that metric labels can take. Each enum ends in kCount and has a LabelText.
#pragma once

#include <cstdint>
#include <string_view>

namespace lariat::telemetry {

enum class Op : uint8_t { kGet, kPut, kDelete, kBucket, kList, kUpdate, kCount };
enum class Outcome : uint8_t {
  kOk,
  kNotFound,
  kRefused,
  kNotDone,
  kUnknown,
  kTimeout,
  kError,
  kCount
};
// The types of values that merge.
enum class ValueType : uint8_t { kCounter, kRegister, kFlag, kHll, kSet, kMap, kCount };
enum class ReplicaOp : uint8_t { kRead, kDigest, kUpdate, kWrite, kRepair, kCount };
enum class PeerRefusal : uint8_t {
  kBadMagic,
  kBadVersion,
  kBadChecksum,
  kTooLarge,
  kBadMessage,
  kOtherCluster,
  kHandshake,
  kNoRoom,
  kCount
};
enum class HttpRefusal : uint8_t {
  kMalformed,
  kHeadTooLarge,
  kBodyTooLarge,
  kTimeout,
  kTooManyConnections,
  kOverloaded,
  kCount
};
// The groups of the Redis protocol's commands.
enum class RespGroup : uint8_t {
  kConnection,
  kServer,
  kGeneric,
  kString,
  kCluster,
  kLariat,
  kUnknown,
  kCount
};
// How an attempt to log in ended.
enum class LoginOutcome : uint8_t { kOk, kWrong, kLimited, kBusy, kFailed, kCount };
// Why a request was refused by the gate, or would have been (security.auth = permissive).
enum class AccessRefusal : uint8_t { kUnauthenticated, kForbidden, kWouldRefuse, kCount };
enum class RespRefusal : uint8_t { kProtocol, kTimeout, kTooManyConnections, kOverloaded, kCount };
enum class TlsFailure : uint8_t {
  kNotTls,       // plain bytes
  kOldVersion,   // below 1.2
  kCertificate,  // none where one is asked for, expired, of another authority
  kIdentity,     // it names somebody else
  kRefused,      // the other side did not want to go on
  kTimeout,
  kTooMany,
  kClosed,
  kOther,
  kCount
};
enum class GossipRefusal : uint8_t {
  kTooLarge,
  kBadChecksum,
  kMalformed,
  kNotMember,
  kFarFuture,
  kBadState,
  kCount
};
enum class ProbeOutcome : uint8_t { kOk, kFailed, kCount };
// Why the stability sweep left a record.
enum class SweepBlock : uint8_t {
  kGrace,
  kNodeAway,
  kNotEverywhere,
  kHints,
  kTopology,
  kUnclean,
  kBusy,
  kCount
};

std::string_view LabelText(Op label);
std::string_view LabelText(Outcome label);
std::string_view LabelText(ReplicaOp label);
std::string_view LabelText(ValueType label);
std::string_view LabelText(PeerRefusal label);
std::string_view LabelText(HttpRefusal label);
std::string_view LabelText(RespGroup label);
std::string_view LabelText(LoginOutcome label);
std::string_view LabelText(AccessRefusal label);
std::string_view LabelText(RespRefusal label);
std::string_view LabelText(TlsFailure label);
std::string_view LabelText(GossipRefusal label);
std::string_view LabelText(ProbeOutcome label);
std::string_view LabelText(SweepBlock label);

}  // namespace lariat::telemetry
