// The memif control channel with a client that says anything: messages in any order and
// of any length, with any number and kind of descriptors, while the worker polls. A
// client is admitted only with checked regions and rings, everybody else is told why not,
// and afterwards no descriptor and no mapping of it is left.
//
// Input: HandshakeOptions, then steps until it ends.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "dataplane/ports/memif/port.h"
#include "tests/fuzz/input.h"
#include "tests/memif/raw_client.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;
using namespace weir::dataplane::memif;
using memif::test::blank_message;
using memif::test::RawClient;

constexpr size_t kMemory = 65536;  // of the memfds clients hand over
constexpr unsigned kClients = 8;   // in turn; after 16 the port lets the next ones wait

#pragma pack(push, 1)
struct HandshakeOptions {
  uint8_t queues;
  uint8_t log2_ring;
  uint8_t flags;  // 1: asks for the secret "secret"; 2: takes unsealed memory
};
#pragma pack(pop)

// Descriptors a client may pass, by the number a step names them with.
class Descriptors {
 public:
  static constexpr size_t kCount = 8;

  Descriptors() {
    memory_.reset(memif::test::make_memfd(kMemory, true).release());
    unsealed_.reset(memif::test::make_memfd(kMemory, false).release());
    short_.reset(memif::test::make_memfd(4096, true).release());
    read_only_.reset(memif::test::make_memfd(kMemory, true).release());
    fcntl(read_only_.get(), F_ADD_SEALS, F_SEAL_WRITE);
    std::array<int, 2> ends{};
    WEIR_INVARIANT(pipe2(ends.data(), O_CLOEXEC) == 0);
    pipe_.reset(ends[0]);
    other_end_.reset(ends[1]);
    socket_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  }
  int get(size_t kind) const {
    const std::array<int, kCount> all{memory_.get(), event_.get(),     unsealed_.get(),
                                      short_.get(),  read_only_.get(), pipe_.get(),
                                      socket_.get(), STDIN_FILENO};
    return all[kind % kCount];
  }
  int memory() const { return memory_.get(); }
  // The seal is refused while anybody has the memory mapped for writing.
  bool mapped() const {
    return fcntl(memory_.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0 ||
           fcntl(unsealed_.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0 ||
           fcntl(short_.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0;
  }

 private:
  api::Fd memory_, unsealed_, short_, read_only_, pipe_, other_end_, socket_, event_;
};

int lowest_free_descriptor() {
  const int fd = ::dup(STDIN_FILENO);
  ::close(fd);
  return fd;
}

// The parts that live as long as the process, and the directory of its sockets.
class Server {
 public:
  Server() {
    spdlog::set_level(spdlog::level::off);
    std::string name = (std::filesystem::temp_directory_path() / "weir-fuzz-XXXXXX").string();
    WEIR_INVARIANT(mkdtemp(name.data()) != nullptr);
    directory_ = name;
    loop_ = *EventLoop::create();
    service_ = *MemifService::create(*loop_, rcu_);
    rcu_.register_worker(0);
    rcu_.online(0);
  }
  ~Server() {
    service_.reset();
    rcu_.offline(0);
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<MemifPort> make_port(const HandshakeOptions& options) {
    api::PortConfig config;
    config.key = 1;
    config.kind = api::PortKind::memif;
    config.mtu = 1500;
    config.memif_queues = static_cast<uint8_t>(1 + options.queues % kMaxQueues);
    config.memif_log2_ring = static_cast<uint8_t>(5 + options.log2_ring % 10);
    config.socket_uid = geteuid();
    config.socket_gid = getegid();
    if ((options.flags & 1) != 0) api::set_text(config.secret, "secret");
    if ((options.flags & 2) != 0) config.flags = api::kPortUnsealed;
    api::set_text(config.socket_path, path());
    auto port = service_->make_port(config, [] {});
    WEIR_INVARIANT(static_cast<bool>(port), port.error().text);
    return std::move(*port);
  }
  std::string path() const { return directory_ / "pod.sock"; }
  void pump() {
    while (loop_->run_once(std::chrono::milliseconds(0)) > 0) continue;
    rcu_.quiescent(0);
    rcu_.reclaim();
  }
  size_t pending() const { return rcu_.pending(); }

 private:
  std::filesystem::path directory_;
  std::unique_ptr<EventLoop> loop_;
  Rcu rcu_{1};
  std::unique_ptr<MemifService> service_;
};

class Conversation {
 public:
  Conversation(Server& server, Input& input)
      : server_(server),
        options_(input.take<HandshakeOptions>()),
        port_(server.make_port(options_)) {
    new_client();
  }

  void run(Input& input) {
    while (!input.empty() && clients_ <= kClients) {
      step(input);
      check_state();
    }
  }

  // Everything goes; what a client handed over goes with it.
  void end() {
    client_.reset();
    server_.pump();
    WEIR_INVARIANT(state().link != api::LinkState::up);
    while (port_->undisposed() > 0) usleep(20);
    port_.reset();
    server_.pump();
    WEIR_INVARIANT(server_.pending() == 0);
    WEIR_INVARIANT(!descriptors_.mapped());
  }

 private:
  void new_client() {
    memif::test::ClientOptions options;
    options.pump = [this] { server_.pump(); };
    options.timeout = std::chrono::milliseconds(200);
    client_ = std::make_unique<RawClient>(options);
    ++clients_;
    said_init_ = false;
    regions_ = rings_ = 0;
    const Status opened = client_->open(server_.path());
    connected_ = static_cast<bool>(opened);
    WEIR_INVARIANT(connected_ || !opened.error().text.empty());
  }

  void step(Input& input) {
    switch (input.below(8)) {
      case 0: return message(input);
      case 1: return init(input);
      case 2: return add_region(input);
      case 3: return add_ring(input);
      case 4: return connect();
      case 5: return odd_length(input);
      case 6: return write_memory(input);
      default: return work(input);
    }
  }

  // Any type, any bytes, up to three descriptors of any kind.
  void message(Input& input) {
    Message message = blank_message(static_cast<MessageType>(input.half()));
    const auto body = input.bytes(input.below(sizeof message.bytes + 1));
    std::memcpy(message.bytes.data(), body.data(), body.size());
    say(message, input);
  }
  void init(Input& input) {
    memif::test::ClientOptions options;
    if (input.below(2) != 0) options.secret = "secret";
    Message message = memif::test::init_message(options);
    message.init.mode = static_cast<Mode>(input.below(4) == 3 ? 1 : 0);
    say(message, input);
  }
  void add_region(Input& input) {
    const uint16_t index = input.byte();
    const uint64_t size = input.below(2) == 0 ? kMemory : input.take<uint64_t>();
    say(memif::test::region_message(index, size), input);
  }
  void add_ring(Input& input) {
    Message message = blank_message(MessageType::add_ring);
    message.add_ring = input.take<AddRing>();
    say(message, input);
  }
  void connect() {
    Input nothing(nullptr, 0);
    say(blank_message(MessageType::connect), nothing);
  }

  // Sends it with 0 to 3 descriptors and checks the answer.
  void say(const Message& message, Input& input) {
    std::array<int, 3> fds{};
    const size_t count = input.below(4);
    for (size_t i = 0; i < count; ++i) fds[i] = descriptors_.get(input.byte());
    if (!connected_) return new_client();
    if (!client_->send(message, std::span(fds).first(count))) return lost();
    const auto reply = client_->receive();
    if (!reply) return lost();
    check_reply(message, *reply);
  }

  void check_reply(const Message& message, const Message& reply) {
    if (reply.type == MessageType::disconnect) {
      WEIR_INVARIANT(reply.disconnect.text[0] != 0 && reply.disconnect.text.back() == 0);
      WEIR_INVARIANT(!client_->receive());
      return lost();
    }
    if (message.type == MessageType::connect) {
      WEIR_INVARIANT(reply.type == MessageType::connected);
      WEIR_INVARIANT(said_init_ && regions_ > 0 && rings_ >= 2);
      WEIR_INVARIANT(state().link == api::LinkState::up);
      return;
    }
    WEIR_INVARIANT(reply.type == MessageType::ack);
    if (message.type == MessageType::init) {
      WEIR_INVARIANT(!said_init_ && message.init.version == kVersion);
      said_init_ = true;
    } else if (message.type == MessageType::add_region) {
      WEIR_INVARIANT(said_init_ && message.add_region.size > 0);
      WEIR_INVARIANT(message.add_region.size <= kMemory && message.add_region.index == regions_);
      ++regions_;
    } else {
      WEIR_INVARIANT(message.type == MessageType::add_ring && said_init_);
      check_ring(message.add_ring);
      ++rings_;
    }
  }

  void check_ring(const AddRing& ring) const {
    WEIR_INVARIANT(ring.region < regions_);
    WEIR_INVARIANT(ring.log2_size >= kMinLog2Ring && ring.log2_size <= kMaxLog2Ring);
    WEIR_INVARIANT(ring.offset % 64 == 0 && ring.offset + ring_bytes(ring.log2_size) <= kMemory);
    WEIR_INVARIANT(ring.index <= options_.queues % kMaxQueues);
  }

  void odd_length(Input& input) {
    const auto bytes = input.bytes(input.byte());
    if (!connected_) return new_client();
    if (bytes.empty() || bytes.size() == sizeof(Message)) return;
    client_->send_raw(std::as_bytes(bytes));
    const auto reply = client_->receive();
    WEIR_INVARIANT(!reply || reply->type == MessageType::disconnect);
    lost();
  }

  void write_memory(Input& input) {
    const off_t at = input.half();
    const auto bytes = input.bytes(1 + input.below(64));
    // Cookies and indices, so that CONNECT and the rings find what they look for.
    [[maybe_unused]] const ssize_t written =
        pwrite(descriptors_.memory(), bytes.data(), bytes.size(), at);
  }

  // One round of the worker: rings as the client left them.
  void work(Input& input) {
    DropSink sink(counters_);
    const RxBatch batch{.packets = packets_, .segments = segments_};
    const uint16_t count = port_->rx(batch, sink);
    std::array<Packet*, kVectorSize> pointers{};
    std::array<Drop, kVectorSize> drops{};
    drops.fill(Drop::count);
    for (uint16_t i = 0; i < count; ++i) pointers[i] = &packets_[i];
    const uint16_t sent = port_->tx(std::span(pointers).first(count), drops.data());
    WEIR_INVARIANT(sent == std::count(drops.begin(), drops.begin() + count, Drop::count));
    port_->rx_done();
    port_->flush();
    if (input.below(2) != 0 && !port_->arm()) port_->disarm();
    // The fault goes to the helper thread and from there to the main thread.
    port_->housekeep();
    server_.pump();
  }

  void lost() {
    connected_ = false;
    server_.pump();
    WEIR_INVARIANT(state().link != api::LinkState::up);
  }

  api::PortState state() const {
    api::PortState state;
    port_->state(state);
    return state;
  }

  void check_state() const {
    const api::PortState now = state();
    WEIR_INVARIANT(now.detail.back() == 0 && now.peer_name.back() == 0);
    WEIR_INVARIANT((now.link == api::LinkState::up) == (now.detail[0] == 0));
  }

  Descriptors descriptors_;
  Server& server_;
  HandshakeOptions options_;
  std::unique_ptr<MemifPort> port_;
  std::unique_ptr<RawClient> client_;
  PortCounterBlock counters_;
  unsigned clients_ = 0;
  bool connected_ = false;
  bool said_init_ = false;
  unsigned regions_ = 0;
  unsigned rings_ = 0;

  static inline std::array<Packet, kVectorSize> packets_;
  static inline std::array<Segment, size_t{kVectorSize} * kMaxSegments> segments_;
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::fuzz;
  static Server server;
  const int before = lowest_free_descriptor();
  {
    Input input(data, size);
    Conversation conversation(server, input);
    conversation.run(input);
    conversation.end();
  }
  WEIR_INVARIANT(lowest_free_descriptor() == before);
  return 0;
}
