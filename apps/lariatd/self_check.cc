// SPDX-License-Identifier: Apache-2.0
#include "apps/lariatd/self_check.h"

#include <utility>
#include <variant>

#include "wire/codec.h"
#include "wire/frame.h"

namespace lariat::lariatd {

namespace {

constexpr base::Duration kTimeout = base::Seconds(3);
constexpr base::Duration kAgain = base::Seconds(5);
constexpr size_t kAnswerMax = 64 * 1024;

}  // namespace

// One attempt: asks who is there.
class SelfCheck::Dial final : public env::StreamHandler {
 public:
  Dial(SelfCheck& check, env::Stream& stream)
      : check_(check), alive_(check.alive_), stream_(stream) {
    if (check.target_.kind == Kind::kHttp) {
      stream.Write("GET /healthz HTTP/1.1\r\nHost: self\r\nConnection: close\r\n\r\n");
    } else {
      std::string frame;
      wire::AppendFrame(wire::EncodeEnvelope({0, 0, check.target_.self}), &frame);
      stream.Write(std::move(frame));
    }
    timer_ = check.env_.timers.After(kTimeout, [this] { stream_.Close(); });
  }

  size_t OnData(std::string_view bytes) override {
    if (alive_.expired()) return bytes.size();
    const bool known = check_.target_.kind == Kind::kHttp ? IsOwnHttp(bytes) : IsOwnPeer(bytes);
    if (known || bytes.size() > kAnswerMax) {
      trouble_ = known ? "" : "what answers there is not this node";
      stream_.Close();
      return bytes.size();
    }
    return 0;
  }

  void OnClosed(const std::string&) override {
    if (alive_.expired()) return;
    check_.env_.timers.Cancel(timer_);
    check_.OnEnd(trouble_);
  }

 private:
  // Who does not say a word to strangers is taken for this node: it has nobody to log in as.
  bool IsOwnHttp(std::string_view bytes) const {
    if (bytes.starts_with("HTTP/1.1 401 ")) return true;
    return bytes.find("\"node\":\"" + check_.target_.self.name + '"') != std::string_view::npos;
  }
  // It refuses itself, and says who it is.
  bool IsOwnPeer(std::string_view bytes) const {
    const wire::ParsedFrame frame = wire::ParseFrame(bytes, kAnswerMax);
    if (frame.status != wire::FrameStatus::kFrame) return false;
    const auto envelope = wire::DecodeEnvelope(frame.payload);
    const auto* hello = envelope ? std::get_if<wire::HelloReply>(&envelope->body) : nullptr;
    return hello != nullptr && hello->node == check_.target_.self.node;
  }

  SelfCheck& check_;
  std::weak_ptr<bool> alive_;
  env::Stream& stream_;
  env::TimerId timer_ = 0;
  std::string trouble_ = "what answers there is not this node";
};

SelfCheck::SelfCheck(env::Env env, env::Network& network, Target target, telemetry::LogSink& log)
    : env_(env), network_(network), target_(std::move(target)), log_(log) {}

void SelfCheck::Start() { Try(); }

std::string SelfCheck::Setting() const {
  return target_.kind == Kind::kHttp ? "advertise.http" : "advertise.peer";
}

void SelfCheck::Try() {
  const std::weak_ptr<bool> alive = alive_;
  network_.Connect(
      target_.address, kTimeout,
      [this, alive](env::Stream& stream) -> std::unique_ptr<env::StreamHandler> {
        if (alive.expired()) return nullptr;
        return std::make_unique<Dial>(*this, stream);
      },
      [this, alive](base::Error error) {
        if (!alive.expired()) OnEnd(std::move(error.message));
      });
}

void SelfCheck::OnEnd(std::string trouble) {
  using telemetry::LogLevel;
  if (trouble.empty()) {
    log_.Log(LogLevel::kInfo, "server", "{} = {} leads to this node", Setting(), target_.address);
    return;
  }
  if (trouble != said_) {
    log_.Log(LogLevel::kWarn, "server",
             "{} = {} does not lead to this node, so others will not reach it there: {}", Setting(),
             target_.address, trouble);
    said_ = std::move(trouble);
  }
  env_.timers.After(kAgain, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) Try();
  });
}

}  // namespace lariat::lariatd
