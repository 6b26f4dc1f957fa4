// A front-end that says anything: messages of any type and length, in any order, with any
// descriptors. What is refused has a reason; rings that may run lie in memory that is there,
// and a worker can use them; no descriptor is left when the device is gone.
//
// Input: the number of queue pairs, then messages until it ends.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/ports/vhost/device.h"
#include "tests/fuzz/vhost_link.h"
#include "tests/vhost/driver.h"

namespace weir::fuzz {
namespace {

using namespace weir::dataplane;
using namespace weir::dataplane::vhost;
using vhost::test::SharedMemory;

#pragma pack(push, 1)
struct Said {
  uint8_t request;
  uint8_t flags;
  uint8_t size;        // as the header says
  uint8_t files;       // how many
  uint8_t kinds;       // two bits each: memory, eventfd, pipe, standard input
  uint8_t body_bytes;  // that follow
};
#pragma pack(pop)

class Files {
 public:
  Files() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    std::array<int, 2> ends{};
    WEIR_INVARIANT(pipe2(ends.data(), O_CLOEXEC) == 0);
    pipe_.reset(ends[0]);
    other_end_.reset(ends[1]);
  }
  api::Fd copy(const SharedMemory& memory, unsigned kind) const {
    if (kind == 0) return memory.file();
    const std::array<int, 3> others{event_.get(), pipe_.get(), STDIN_FILENO};
    return api::Fd(fcntl(others[kind - 1], F_DUPFD_CLOEXEC, 0));
  }

 private:
  api::Fd event_, pipe_, other_end_;
};

int lowest_free_descriptor() {
  const int fd = ::dup(STDIN_FILENO);
  ::close(fd);
  return fd;
}

class Conversation {
 public:
  Conversation(SharedMemory& memory, const Files& files, Input& input)
      : memory_(memory),
        files_(files),
        pairs_(static_cast<uint8_t>(1 + input.below(kMaxPairs))),
        device_({.pairs = pairs_, .trusted = false}) {}

  void run(Input& input) {
    while (!input.empty()) {
      say(input);
      use_rings();
    }
  }

 private:
  void say(Input& input) {
    const auto said = input.take<Said>();
    Message message{};
    message.header = {static_cast<Request>(said.request), kVersion | said.flags, said.size};
    const auto body = input.bytes(std::min<size_t>(said.body_bytes, sizeof message.bytes));
    std::memcpy(message.bytes.data(), body.data(), body.size());
    std::vector<api::Fd> files;
    for (unsigned i = 0; i < said.files % 9U; ++i)
      files.push_back(files_.copy(memory_, said.kinds >> 2 * (i % 4) & 3));
    (void)device_.disturbs(message);
    const auto reply = device_.receive(message, files);
    if (!reply) WEIR_INVARIANT(!reply.error().text.empty());
    if (reply && *reply) WEIR_INVARIANT((*reply)->header.size <= sizeof(MemoryTable));
  }

  // As the port does when a message made rings ready.
  void use_rings() {
    const uint8_t ready = device_.ready_pairs();
    WEIR_INVARIANT(ready <= pairs_);
    if (ready == 0) return;
    const auto places = device_.places();
    if (!places) return;
    const auto link = Link::make(
        {.memory = device_.memory(), .features = device_.features(), .pairs = *places});
    for (int i = 0; i < 2; ++i) {
      user_.work(*link, [this](const Segment& piece) {
        for (uint32_t k = 0; k < piece.length; k += 4096)
          sum_ += static_cast<uint8_t>(piece.data[k]);
      });
    }
    link->finish();
    for (uint8_t i = 0; i < 2 * link->pairs(); ++i) device_.set_base(i, link->base(i));
  }

  SharedMemory& memory_;
  const Files& files_;
  uint8_t pairs_;
  Device device_;
  LinkUser user_;
  unsigned sum_ = 0;  // so that bytes are read
};

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weir::fuzz;
  static SharedMemory memory;
  static const Files files;
  memory.clear();
  const int before = lowest_free_descriptor();
  Input input(data, size);
  Conversation(memory, files, input).run(input);
  WEIR_INVARIANT(lowest_free_descriptor() == before);
  return 0;
}
