// A client process to kill: connects, then sends and receives as fast as it can until
// the server hangs up or a signal ends it. Prints "connected" when traffic starts.
#include <poll.h>
#include <unistd.h>

#include <cstdio>

#include "tests/memif/raw_client.h"

namespace memif = weir::dataplane::memif;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
    return 2;
  }
  memif::test::RawClient client;
  if (const weir::Status status = client.connect(argv[1]); !status) {
    std::fprintf(stderr, "%s\n", status.error().text.c_str());
    return 1;
  }
  [[maybe_unused]] const ssize_t told = write(STDOUT_FILENO, "connected\n", 10);
  const memif::test::Bytes small(60, std::byte{1});
  const memif::test::Bytes large(5000, std::byte{2});
  pollfd socket{.fd = client.socket(), .events = POLLIN, .revents = 0};
  while (poll(&socket, 1, 0) == 0) {
    for (int i = 0; i < 64; ++i) client.send_frame(i % 8 == 0 ? large : small);
    client.notify();
    while (client.receive_frame()) {
    }
    client.refill();
  }
  return 0;
}
