// SPDX-License-Identifier: Apache-2.0
// Whatever bytes arrive: decoding ends, and what is accepted encodes to exactly the same bytes.
// Inputs rarely have a good checksum, so the context's content is also reached from the accepted
// dot sets.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/check.h"
#include "causal/object.h"

namespace {

namespace base = lariat::base;
namespace causal = lariat::causal;

constexpr std::string_view kBucket = "b";
constexpr std::string_view kKey = "k";

void TryObject(std::string_view input) {
  auto object = causal::Object::Decode(input);
  if (!object) return;
  LARIAT_CHECK(object->Encode() == input, "an object has one encoding");
  causal::Object joined = *object;
  LARIAT_CHECK(joined.Join(*object).has_value(), "same kind");
  LARIAT_CHECK(joined == *object, "join is idempotent");
  causal::Object fresh(object->kind());
  LARIAT_CHECK(fresh.Join(*object).has_value(), "same kind");
  LARIAT_CHECK(fresh == *object, "a fresh record learns all");
  const auto text = causal::EncodeContext(object->WholeContext(), kBucket, kKey);
  const auto context = causal::DecodeContext(text, kBucket, kKey);
  LARIAT_CHECK(context.has_value(), "what is given out is accepted");
  const bool fits = object->StoredValues() <= causal::kContextCloudMax;
  if (object->dvv() == nullptr || !fits) return;
  object->dvv()->Discard(context->seen);
  LARIAT_CHECK(object->StoredValues() == 0, "a context covers what was shown");
}

void TryDotSet(std::string_view input) {
  base::ByteReader in(input);
  const auto set = causal::DotSet::Decode(&in, std::numeric_limits<size_t>::max());
  if (!set) return;
  std::string bytes;
  base::ByteWriter out(&bytes);
  set->Encode(&out);
  LARIAT_CHECK(bytes == input.substr(0, input.size() - in.Rest().size()), "one encoding");
  const auto text = causal::EncodeContext({*set, {}, 0}, kBucket, kKey);
  const auto context = causal::DecodeContext(text, kBucket, kKey);
  LARIAT_CHECK(context.has_value(), "what is given out is accepted");
  LARIAT_CHECK(set->Covers(context->seen), "never more than was seen");
}

void TryContext(std::string_view input) {
  const auto context = causal::DecodeContext(input, kBucket, kKey);
  if (!context) return;
  LARIAT_CHECK(causal::EncodeContext(*context, kBucket, kKey) == input, "a context has one text");
}

}  // namespace

// Guards M9, M41.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  TryObject(input);
  TryDotSet(input);
  TryContext(input);
  return 0;
}
