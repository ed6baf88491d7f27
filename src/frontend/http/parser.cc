// SPDX-License-Identifier: Apache-2.0
// One of Beast's own assertions is wrong: a last chunk that arrives byte by byte trips it, although
// the code behind handles it. In a program that keeps assertions, a client could end it.
#define BOOST_DISABLE_ASSERTS

#include "frontend/http/internal/parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace lariat::frontend::http {
namespace {

namespace beast_http = boost::beast::http;
using beast_http::field;
using boost::beast::error_code;

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

Method ToMethod(beast_http::verb verb) {
  switch (verb) {
    case beast_http::verb::get:
      return Method::kGet;
    case beast_http::verb::head:
      return Method::kHead;
    case beast_http::verb::put:
      return Method::kPut;
    case beast_http::verb::delete_:
      return Method::kDelete;
    case beast_http::verb::post:
      return Method::kPost;
    default:
      return Method::kOther;
  }
}

}  // namespace

// Beast's callbacks, writing into the parser's request. Made anew for each request: Beast's parser
// cannot be re-used.
class RequestParser::Beast {
 public:
  explicit Beast(RequestParser& owner) : owner_(owner) {}
  void Restart() {
    reader_.emplace(owner_);
    reader_->body_limit(boost::none);  // the owner counts
    reader_->header_limit(std::numeric_limits<uint32_t>::max());
  }
  bool Done() const { return reader_->is_done(); }
  bool KeepAlive() const { return reader_->keep_alive(); }
  size_t Put(std::string_view bytes, error_code& ec) {
    return reader_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), ec);
  }
  // What our own checks found wrong, in words; empty if it was Beast.
  const char* problem() const { return reader_->problem; }

 private:
  class Reader final : public beast_http::basic_parser<true> {
   public:
    explicit Reader(RequestParser& owner) : owner_(owner), request_(owner.request_) {}
    const char* problem = "";

   private:
    void on_request_impl(beast_http::verb verb, boost::beast::string_view,
                         boost::beast::string_view target, int version, error_code&) override {
      request_.method = ToMethod(verb);
      request_.target = View(target);
      request_.http11 = version == 11;
    }
    void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}
    void on_field_impl(field name, boost::beast::string_view text, boost::beast::string_view value,
                       error_code& ec) override {
      if (head_done_) return;  // trailers mean nothing here
      switch (name) {
        case field::content_length:
          return OnContentLength(View(value), ec);
        case field::transfer_encoding:
          return OnTransferEncoding(View(value), ec);
        case field::host:
          if (std::exchange(has_host_, true)) Stop(ec, "more than one Host");
          return;
        default:
          break;
      }
      const std::optional<Header> header = FindHeader(View(text));
      if (!header) return;
      if (request_.Has(*header) && *header != Header::kAccept) {
        return Stop(ec, "a header that may be given once is given twice");
      }
      request_.Set(*header, View(value));
    }
    void OnContentLength(std::string_view value, error_code& ec) {
      const std::optional<int64_t> length = ParseCount(value);
      if (!length) return Stop(ec, "Content-Length is not a plain number");
      if (request_.content_length) return Stop(ec, "more than one Content-Length");
      request_.content_length = static_cast<uint64_t>(*length);
    }
    void OnTransferEncoding(std::string_view value, error_code& ec) {
      if (!EqualsIgnoringCase(value, "chunked")) {
        return Stop(ec, "the only Transfer-Encoding taken is 'chunked'");
      }
      if (!request_.http11) return Stop(ec, "HTTP/1.0 has no Transfer-Encoding");
      request_.chunked = true;
    }
    void on_header_impl(error_code& ec) override {
      head_done_ = true;
      if (request_.http11 && !has_host_) Stop(ec, "Host is missing");
    }
    void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
    std::size_t on_body_impl(boost::beast::string_view body, error_code&) override {
      return OnBody(View(body));
    }
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body,
                                   error_code&) override {
      return OnBody(View(body));
    }
    void on_finish_impl(error_code&) override {}

    std::size_t OnBody(std::string_view bytes) {
      owner_.body_bytes_ += bytes.size();
      const bool kept = !owner_.skipping_ && owner_.body_bytes_ <= owner_.body_bytes_max_;
      if (kept) request_.body.append(bytes);
      return bytes.size();
    }
    void Stop(error_code& ec, const char* why) {
      problem = why;
      ec = beast_http::error::bad_value;
    }

    RequestParser& owner_;
    Request& request_;
    bool head_done_ = false;
    bool has_host_ = false;
  };

  RequestParser& owner_;
  std::optional<Reader> reader_;
};

RequestParser::RequestParser(size_t head_bytes_max)
    : head_bytes_max_(head_bytes_max), beast_(std::make_unique<Beast>(*this)) {}
RequestParser::~RequestParser() = default;

RequestParser::Step RequestParser::Feed(std::string_view bytes) {
  return in_body_ ? FeedBody(bytes) : FeedHead(bytes);
}

void RequestParser::SkipBody(uint64_t bytes_max) {
  skipping_ = true;
  body_bytes_max_ = bytes_max;
  request_.body.clear();
}

void RequestParser::Next() {
  request_.Clear();
  scanned_ = line_start_ = 0;
  in_body_ = skipping_ = false;
  body_bytes_ = body_bytes_max_ = 0;
}

RequestParser::Step RequestParser::Fail(Refusal why) {
  error_ = std::move(why);
  return {Event::kError, 0};
}

RequestParser::Step RequestParser::FeedHead(std::string_view bytes) {
  size_t skipped = 0;
  if (scanned_ == 0) {  // RFC 9112, 2.2: empty lines before a request are ignored
    while (bytes.substr(skipped, 2) == "\r\n") skipped += 2;
    bytes.remove_prefix(skipped);
    if (bytes == "\r") return {Event::kNeedMore, skipped};
  }
  const std::optional<size_t> size = ScanLines(bytes);
  if (!size) return Fail(BadRequest("malformed line in the request's head"));
  if (std::max(*size, scanned_) > head_bytes_max_) {
    if (line_start_ == 0) return Fail({414, "uri_too_long", "the request line is too long"});
    return Fail({431, "head_too_large",
                 "the request's head is larger than http.header_bytes_max = " +
                     std::to_string(head_bytes_max_)});
  }
  if (*size == 0) return {Event::kNeedMore, skipped};
  return ParseHead(bytes.substr(0, *size), skipped);
}

std::optional<size_t> RequestParser::ScanLines(std::string_view bytes) {
  while (scanned_ < bytes.size()) {
    const void* found = std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_);
    const bool folded = line_start_ > 0 && line_start_ < bytes.size() &&
                        (bytes[line_start_] == ' ' || bytes[line_start_] == '\t');
    if (folded) return std::nullopt;
    if (found == nullptr) {
      scanned_ = bytes.size();
      break;
    }
    const size_t end = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    if (end == line_start_ || bytes[end - 1] != '\r') return std::nullopt;  // bare LF
    const bool empty_line = end == line_start_ + 1;
    scanned_ = end + 1;
    if (empty_line) return scanned_;
    if (scanned_ > head_bytes_max_) break;
    line_start_ = scanned_;
  }
  return 0;
}

RequestParser::Step RequestParser::ParseHead(std::string_view head, size_t skipped) {
  beast_->Restart();
  error_code ec;
  const size_t used = beast_->Put(head, ec);
  if (ec || used != head.size()) {
    const std::string why = *beast_->problem() != '\0' ? beast_->problem()
                            : ec                       ? ec.message()
                                                       : "a line ends where it should not";
    return Fail(BadRequest("malformed request: " + why));
  }
  if (request_.target.size() > head_bytes_max_ / 2) {
    return Fail({414, "uri_too_long", "the request's target is too long"});
  }
  request_.keep_alive = beast_->KeepAlive();
  in_body_ = true;
  return {Event::kHead, skipped + head.size()};
}

RequestParser::Step RequestParser::FeedBody(std::string_view bytes) {
  size_t used = 0;
  while (!beast_->Done()) {
    if (used == bytes.size()) return {Event::kNeedMore, used};
    error_code ec;
    used += beast_->Put(bytes.substr(used), ec);
    if (ec == beast_http::error::need_more) {
      if (bytes.size() - used > head_bytes_max_) {
        return Fail({431, "head_too_large", "a chunk's head or the trailer is too large"});
      }
      return {Event::kNeedMore, used};
    }
    if (ec) return Fail(BadRequest("malformed chunked body: " + ec.message()));
    if (body_bytes_ > body_bytes_max_) {
      if (skipping_) return Fail({413, "too_large", "the body is too large to be skipped"});
      return {Event::kBodyTooLarge, used};
    }
  }
  return {Event::kDone, used};
}

}  // namespace lariat::frontend::http
