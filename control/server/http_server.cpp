#include "control/server/http_server.h"

// Coroutines of Boost 1.74 need <utility> first.
// clang-format off
#include <utility>
#include <boost/beast.hpp>
// clang-format on

#include <charconv>

namespace weir::control {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr uint32_t kMaxHeader = 8 << 10;  // bytes
constexpr uint64_t kMaxBody = 64 << 10;
constexpr size_t kMaxConnections = 256;
constexpr std::chrono::seconds kPatience(10);  // for a request, and for the peer to take the answer

// Sockets of both families show IPv4 peers as mapped addresses (RFC 4291 2.5.5.2).
IpAddress address_of(const asio::ip::address& address) {
  IpAddress out;
  if (address.is_v4() || address.to_v6().is_v4_mapped()) {
    const auto v4 = address.is_v4()
                        ? address.to_v4()
                        : asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    const auto bytes = v4.to_bytes();
    out.family = Family::ip4;
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
    return out;
  }
  return ip6_address(address.to_v6().to_bytes());
}

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

HttpRequest to_request(const Request& request, const IpAddress& peer) {
  const std::string target(request.target());
  return {.method = std::string(request.method_string()),
          .path = target.substr(0, target.find('?')),
          .body = request.body(),
          .peer = peer};
}

// A HEAD has the headers of a GET and no body (RFC 9110 9.3.2).
Response to_response(const HttpResponse& answer, const Request& request) {
  Response response{static_cast<http::status>(answer.status), request.version()};
  response.set(http::field::content_type, "application/json");
  response.keep_alive(request.keep_alive());
  response.body() = answer.body;
  response.prepare_payload();
  if (request.method() == http::verb::head) response.body().clear();
  return response;
}

}  // namespace

struct HttpServer::State {
  State(asio::io_context& io, Handler what) : loop(io), acceptor(io), handler(std::move(what)) {}

  asio::io_context& loop;
  tcp::acceptor acceptor;
  const Handler handler;
  size_t connections = 0;
  bool stopped = false;
};

HttpServer::~HttpServer() {
  state_->stopped = true;
  error_code ignored;
  state_->acceptor.close(ignored);
}

Result<std::unique_ptr<HttpServer>> HttpServer::open(asio::io_context& loop,
                                                     const tcp::endpoint& endpoint,
                                                     bool both_families, Handler handler) {
  const auto state = std::make_shared<State>(loop, std::move(handler));
  tcp::acceptor& acceptor = state->acceptor;
  error_code failed;
  acceptor.open(endpoint.protocol(), failed);
  if (!failed) acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed && both_families) acceptor.set_option(asio::ip::v6_only(false), failed);
  if (!failed) acceptor.bind(endpoint, failed);
  if (!failed) acceptor.listen(tcp::acceptor::max_listen_connections, failed);
  if (failed) {
    return {ErrorCode::busy, "cannot serve HTTP on port " + std::to_string(endpoint.port()) +
                                 " of " + endpoint.address().to_string() +
                                 ": free that address or choose another (" + failed.message() +
                                 ")"};
  }
  asio::co_spawn(loop, accept_loop(state), asio::detached);
  return std::unique_ptr<HttpServer>(new HttpServer(state));
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& loop,
                                                       const std::string& endpoint,
                                                       Handler handler) {
  const size_t colon = endpoint.rfind(':');
  std::string host = endpoint.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  uint16_t port = 0;
  const char* end = endpoint.data() + endpoint.size();
  const bool numbered = colon != std::string::npos &&
                        std::from_chars(endpoint.data() + colon + 1, end, port).ec == std::errc{};
  error_code failed;
  const auto address = asio::ip::make_address(host, failed);
  if (failed || !numbered) {
    return {ErrorCode::invalid_argument, "'" + endpoint + "' is no ADDRESS:PORT"};
  }
  return open(loop, {address, port}, false, std::move(handler));
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen_everywhere(asio::io_context& loop,
                                                                  uint16_t port, Handler handler) {
  auto both = open(loop, {tcp::v6(), port}, true, handler);
  if (both) return both;
  // A kernel without IPv6.
  auto ip4 = open(loop, {tcp::v4(), port}, false, std::move(handler));
  return ip4 ? std::move(ip4) : std::move(both);
}

Task<> HttpServer::accept_loop(std::shared_ptr<State> state) {
  while (!state->stopped) {
    error_code failed;
    tcp::socket socket =
        co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failed));
    if (state->stopped) break;
    if (failed) {
      asio::steady_timer pause(state->loop, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failed));
      continue;
    }
    if (state->connections >= kMaxConnections) continue;  // closes it
    asio::co_spawn(state->loop, serve(state, std::move(socket)), asio::detached);
  }
}

// Closing in two steps lets the peer read the last answer.
Task<> HttpServer::serve(std::shared_ptr<State> state, tcp::socket socket) {
  ++state->connections;
  error_code failed;
  const auto peer = socket.remote_endpoint(failed);
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  bool more = !failed;
  while (more && !state->stopped) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMaxHeader);
    parser.body_limit(kMaxBody);
    stream.expires_after(kPatience);
    co_await http::async_read(stream, buffer, parser,
                              asio::redirect_error(asio::use_awaitable, failed));
    if (failed) break;
    const Request request = parser.release();
    const bool keep = request.keep_alive();
    const HttpRequest asked = to_request(request, address_of(peer.address()));
    Response response = to_response(state->handler(asked), request);
    stream.expires_after(kPatience);
    co_await http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, failed));
    more = keep && !failed;
  }
  stream.socket().shutdown(tcp::socket::shutdown_send, failed);
  --state->connections;
}

}  // namespace weir::control
