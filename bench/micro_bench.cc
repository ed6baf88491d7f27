// SPDX-License-Identifier: Apache-2.0
// The small hot-path functions, one by one: what a write or a read of 500 bytes costs in codecs
// and version algebra. `--benchmark_filter=` picks some.
#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "base/hash.h"
#include "causal/context.h"
#include "causal/object.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace lariat::bench {
namespace {

constexpr size_t kValueBytes = 500;
constexpr size_t kPayloadMax = size_t{1} << 24;

causal::Value MakeValue() {
  causal::Value value;
  value.written = base::WallTime{1'700'000'000'000};
  value.bytes.assign(kValueBytes, 'v');
  return value;
}

causal::Actor ActorOf(uint64_t number) { return {number * 0x9E3779B97F4A7C15, number << 40, 1}; }

// A key that `actors` nodes have written in turn, each with the context of the last.
causal::Object MakeSiblings(uint64_t actors) {
  causal::Object object(causal::Kind::kSiblings);
  for (uint64_t i = 1; i <= actors; ++i) {
    object.dvv()->Update(object.WholeContext().seen, MakeValue(), ActorOf(i));
  }
  return object;
}

causal::Object MakeLww(uint64_t stamp) {
  causal::Object object(causal::Kind::kLww);
  *object.lww() = {causal::HlcStamp{stamp << 16}, 7, MakeValue()};
  return object;
}

causal::Object MakeObject(int64_t actors) {
  return actors == 0 ? MakeLww(1'700'000'000'000) : MakeSiblings(static_cast<uint64_t>(actors));
}

// Argument: 0 = lww, otherwise the actors of a siblings object.
void ObjectEncode(benchmark::State& state) {
  const causal::Object object = MakeObject(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(object.Encode());
}
BENCHMARK(ObjectEncode)->Arg(0)->Arg(1)->Arg(3);

void ObjectDecode(benchmark::State& state) {
  const std::string bytes = MakeObject(state.range(0)).Encode();
  for (auto _ : state) benchmark::DoNotOptimize(causal::Object::Decode(bytes));
}
BENCHMARK(ObjectDecode)->Arg(0)->Arg(1)->Arg(3);

// The usual join of a replica: a newer state meets the stored one.
void ObjectJoin(benchmark::State& state) {
  const causal::Object stored = MakeObject(state.range(0));
  causal::Object newer = stored;
  if (newer.dvv() != nullptr) {
    newer.dvv()->Update(newer.WholeContext().seen, MakeValue(), ActorOf(1));
  } else {
    newer = MakeLww(1'700'000'000'001);
  }
  for (auto _ : state) {
    causal::Object joined = newer;
    benchmark::DoNotOptimize(joined.Join(stored));
    benchmark::DoNotOptimize(joined);
  }
}
BENCHMARK(ObjectJoin)->Arg(0)->Arg(1)->Arg(3);

void ObjectDigest(benchmark::State& state) {
  const std::string bytes = MakeObject(state.range(0)).Encode();
  for (auto _ : state) benchmark::DoNotOptimize(causal::Object::Digest(bytes));
}
BENCHMARK(ObjectDigest)->Arg(1);

void ContextEncode(benchmark::State& state) {
  const causal::Context context =
      MakeSiblings(static_cast<uint64_t>(state.range(0))).WholeContext();
  for (auto _ : state) benchmark::DoNotOptimize(causal::EncodeContext(context, "bench", "key-1"));
}
BENCHMARK(ContextEncode)->Arg(1)->Arg(3);

void ContextDecode(benchmark::State& state) {
  const causal::Context context =
      MakeSiblings(static_cast<uint64_t>(state.range(0))).WholeContext();
  const std::string text = causal::EncodeContext(context, "bench", "key-1");
  for (auto _ : state) benchmark::DoNotOptimize(causal::DecodeContext(text, "bench", "key-1"));
}
BENCHMARK(ContextDecode)->Arg(1)->Arg(3);

wire::Envelope MakeWrite(const std::string& object) {
  wire::WriteRequest request;
  request.bucket = 1;
  request.token = 0x0123456789ABCDEF;
  request.key = "key-0000001234";
  request.object = object;
  return {12345, 3, std::move(request)};
}

// One write of 500 bytes, as it leaves for a replica: envelope and frame with its checksum.
void WriteFrameEncode(benchmark::State& state) {
  const std::string object = MakeLww(1'700'000'000'000).Encode();
  std::string out;
  for (auto _ : state) {
    out.clear();
    wire::FrameWriter frame(&out);
    wire::AppendEnvelope(MakeWrite(object), &out);
    frame.Finish();
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(WriteFrameEncode);

void WriteFrameDecode(benchmark::State& state) {
  std::string bytes;
  wire::AppendFrame(wire::EncodeEnvelope(MakeWrite(MakeLww(1'700'000'000'000).Encode())), &bytes);
  for (auto _ : state) {
    const wire::ParsedFrame frame = wire::ParseFrame(bytes, kPayloadMax);
    benchmark::DoNotOptimize(wire::DecodeEnvelope(frame.payload));
  }
}
BENCHMARK(WriteFrameDecode);

void ReplyFrameEncodeDecode(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    wire::AppendFrame(wire::EncodeEnvelope({12345, 3, wire::WriteReply{}}), &out);
    benchmark::DoNotOptimize(wire::DecodeEnvelope(wire::ParseFrame(out, kPayloadMax).payload));
  }
}
BENCHMARK(ReplyFrameEncodeDecode);

}  // namespace
}  // namespace lariat::bench

BENCHMARK_MAIN();
