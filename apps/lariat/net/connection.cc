// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/net/connection.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <optional>
#include <tuple>

namespace lariat::cli::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

class Trust {
 public:
  // Contexts are used by const objects all over OpenSSL, and by Asio's as if they changed.
  mutable asio::ssl::context context{asio::ssl::context::tls_client};
};

base::Result<std::shared_ptr<const Trust>> LoadTrust(const TrustFiles& files) {
  auto trust = std::make_shared<Trust>();
  asio::ssl::context& context = trust->context;
  const auto bad = [](const std::string& file, const error_code& why) {
    return base::Fail(base::Code::kInvalidArgument, fmt::format("{}: {}", file, why.message()));
  };
  error_code e;
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(asio::ssl::verify_peer);
  if (context.load_verify_file(files.ca, e); e) return bad(files.ca, e);
  if (files.cert.empty() && files.key.empty()) return trust;
  if (files.cert.empty() || files.key.empty()) {
    return base::Fail(base::Code::kInvalidArgument, "--cert and --key belong together");
  }
  if (context.use_certificate_chain_file(files.cert, e); e) return bad(files.cert, e);
  if (context.use_private_key_file(files.key, asio::ssl::context::pem, e); e) {
    return bad(files.key, e);
  }
  return trust;
}

struct Loop::Impl {
  asio::io_context context{1};
  size_t lookups = 0;  // of names, under way
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() {
  // A lookup cannot be ended before its time, which is long where name servers are silent, and the
  // context would wait for it. It is left to the end of the process.
  if (impl_->lookups > 0) std::ignore = impl_.release();
}
void Loop::Run() {
  impl_->context.restart();
  impl_->context.run();
}
void Loop::Stop() { impl_->context.stop(); }

void Loop::After(std::chrono::milliseconds delay, std::function<void()> then) {
  // Owned by its own handler.
  auto timer = std::make_shared<asio::steady_timer>(impl_->context, delay);
  timer->async_wait([timer, then = std::move(then)](error_code error) {
    if (!error) then();
  });
}

struct Connection::Impl : std::enable_shared_from_this<Connection::Impl> {
  Impl(Loop& on, Address to, std::shared_ptr<const Trust> whom)
      : loop(on.impl()),
        trust(std::move(whom)),
        context(loop.context),
        resolver(context),
        lookup_limit(context),
        stream(context),
        address(std::move(to)) {}

  void Start() {
    reused = open;
    if (open) return Write();
    const auto limit = std::chrono::steady_clock::now() + waits.connect;
    stream.expires_at(limit);
    error_code error;
    auto literal = asio::ip::make_address(address.host, error);
    if (!error) {
      auto port = static_cast<uint16_t>(std::stoi(address.port));
      return Connect(std::array{asio::ip::tcp::endpoint(literal, port)});
    }
    Lookup(limit);
  }

  void Lookup(std::chrono::steady_clock::time_point limit) {
    const uint64_t mine = ++lookup;  // what comes after its time is not heard
    ++loop.lookups;
    resolver.async_resolve(address.host, address.port,
                           [self = shared_from_this(), mine](error_code e, auto results) {
                             --self->loop.lookups;
                             if (mine != self->lookup) return;
                             self->lookup_limit.cancel();
                             if (e) return self->Finish(Failure::kNotSent, e);
                             self->Connect(results);
                           });
    lookup_limit.expires_at(limit);
    lookup_limit.async_wait([self = shared_from_this(), mine](error_code e) {
      if (e || mine != self->lookup) return;
      ++self->lookup;
      self->Finish(Failure::kNotSent, beast::error::timeout);
    });
  }

  template <typename Endpoints>
  void Connect(const Endpoints& endpoints) {
    stream.async_connect(endpoints, [self = shared_from_this()](error_code e, const auto&) {
      if (e) return self->Finish(Failure::kNotSent, e);
      error_code ignored;
      self->stream.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
      self->Secure();
    });
  }

  // The time of the connection is also that of its handshake.
  void Secure() {
    if (trust == nullptr) return Opened();
    tls.emplace(stream, trust->context);
    SSL_set_tlsext_host_name(tls->native_handle(), address.host.c_str());
    tls->set_verify_callback(asio::ssl::host_name_verification(address.host));
    tls->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](error_code e) {
      if (e) return self->Finish(Failure::kNotSent, e);
      self->Opened();
    });
  }

  void Opened() {
    open = true;
    Write();
  }

  void Write() {
    stream.expires_after(waits.answer);
    auto then = [self = shared_from_this()](error_code e, size_t) {
      // A server may answer and close before it has read a body that it refuses.
      if (e && e != asio::error::broken_pipe && e != asio::error::connection_reset) {
        return self->Finish(Failure::kLost, e);
      }
      self->Read();
    };
    if (tls) return http::async_write(*tls, request, std::move(then));
    http::async_write(stream, request, std::move(then));
  }

  void Read() {
    parser.emplace();
    parser->body_limit(uint64_t{256} << 20);
    parser->header_limit(256 << 10);
    if (request.method() == http::verb::head) parser->skip(true);
    auto then = [self = shared_from_this()](error_code e, size_t) {
      if (!e) return self->FinishWell();
      bool untouched = self->buffer.size() == 0 && !self->parser->got_some();
      // The server closed the idle connection before the request came: a new one is worth a try,
      // but only where a second delivery cannot matter.
      if (self->reused && untouched && self->request.method() == http::verb::get &&
          e != beast::error::timeout) {
        self->Close();
        return self->Start();
      }
      self->Finish(Failure::kLost, e);
    };
    if (tls) return http::async_read(*tls, buffer, *parser, std::move(then));
    http::async_read(stream, buffer, *parser, std::move(then));
  }

  void FinishWell() {
    auto message = parser->release();
    Response response;
    response.status = message.result_int();
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      response.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    response.body = std::move(message.body());
    stream.expires_never();
    if (!message.keep_alive()) Close();
    Give(std::move(response));
  }

  void Finish(Failure failure, error_code e) {
    const bool hung = e == beast::error::timeout;
    if (hung && failure != Failure::kNotSent) failure = Failure::kTimeout;
    const bool opened = open;
    Close();
    std::string why = e == http::error::end_of_stream ? "the connection was closed" : e.message();
    if (trust != nullptr && !opened && !hung) why += " (with TLS, since --ca is given)";
    if (hung) {
      const bool connecting = failure == Failure::kNotSent;
      const auto wait = connecting ? waits.connect : waits.answer;
      why = fmt::format("no {} within {:.3g} s", connecting ? "connection" : "answer",
                        std::chrono::duration<double>(wait).count());
    }
    Give(tl::unexpected(TransportError{
        failure, fmt::format("{}: {}", address.ToString(), why), hung,
        request.method() == http::verb::get || request.method() == http::verb::head}));
  }

  void Give(Outcome outcome) {
    auto callback = std::exchange(done, nullptr);
    if (callback) callback(std::move(outcome));
  }

  void Close() {
    open = false;
    ++lookup;
    lookup_limit.cancel();
    buffer.clear();
    error_code ignored;
    stream.socket().close(ignored);
  }

  Loop::Impl& loop;
  const std::shared_ptr<const Trust> trust;  // null: no TLS; co-owned by other connections
  asio::io_context& context;
  asio::ip::tcp::resolver resolver;
  asio::steady_timer lookup_limit;
  uint64_t lookup = 0;
  beast::tcp_stream stream;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls;  // over `stream`
  beast::flat_buffer buffer;
  Address address;
  http::request<http::string_body> request;
  std::optional<http::response_parser<http::string_body>> parser;
  Waits waits;
  Done done;
  bool open = false;
  bool reused = false;
};

Connection::Connection(Loop& loop, Address address, std::shared_ptr<const Trust> trust)
    : impl_(std::make_shared<Impl>(loop, std::move(address), std::move(trust))) {}
Connection::Connection(Connection&&) noexcept = default;
Connection::~Connection() {
  if (impl_ == nullptr) return;
  impl_->done = nullptr;
  impl_->Close();
}

const Address& Connection::address() const { return impl_->address; }

void Connection::Send(Request request, Waits waits, Done done) {
  auto& out = impl_->request;
  out = {};
  out.version(11);
  out.method_string(request.method);
  out.target(request.target);
  out.set(http::field::host, impl_->address.ToString());
  out.set(http::field::user_agent, "lariat");
  for (const auto& [name, value] : request.headers) out.set(name, value);
  bool has_body = !request.body.empty() || request.method == "PUT" || request.method == "POST";
  out.body() = std::move(request.body);
  if (has_body) out.prepare_payload();
  impl_->waits = waits;
  impl_->done = std::move(done);
  asio::post(impl_->context, [impl = impl_] { impl->Start(); });
}

}  // namespace lariat::cli::net
