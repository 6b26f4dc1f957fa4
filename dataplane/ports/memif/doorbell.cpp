#include "dataplane/ports/memif/doorbell.h"

#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace weir::dataplane::memif {

namespace {

constexpr size_t kBatch = 32;

}  // namespace

Result<Doorbell> Doorbell::create() {
  api::Fd empty_file(memfd_create("weir-doorbell", MFD_CLOEXEC));
  if (!empty_file) return errno_error("cannot make a memfd for memif interrupts", errno);
  unsigned long context = 0;
  if (syscall(SYS_io_setup, kBatch, &context) != 0) {
    return {ErrorCode::unavailable,
            std::string("memif ports need the kernel's asynchronous I/O (io_setup: ") +
                std::strerror(errno) +
                "): raise the sysctl fs.aio-max-nr or allow the system call"};
  }
  return Doorbell(context, std::move(empty_file));
}

Doorbell::~Doorbell() {
  if (context_ != 0) syscall(SYS_io_destroy, context_);
}

void Doorbell::raise(std::span<const int> eventfds) {
  while (!eventfds.empty()) {
    const size_t count = std::min(eventfds.size(), kBatch);
    std::array<char, kBatch> targets{};
    std::array<iocb, kBatch> blocks{};
    std::array<iocb*, kBatch> pointers{};
    for (size_t i = 0; i < count; ++i) {
      blocks[i].aio_lio_opcode = IOCB_CMD_PREAD;
      blocks[i].aio_fildes = static_cast<uint32_t>(empty_file_.get());
      blocks[i].aio_buf = reinterpret_cast<uintptr_t>(&targets[i]);
      blocks[i].aio_nbytes = 1;
      blocks[i].aio_flags = IOCB_FLAG_RESFD;
      blocks[i].aio_resfd = static_cast<uint32_t>(eventfds[i]);
      pointers[i] = &blocks[i];
    }
    // A block that is refused ends the batch: go on behind it. The reads complete inside
    // io_submit, so the buffers may go and the events can be collected at once.
    const long done = syscall(SYS_io_submit, context_, count, pointers.data());
    const size_t submitted = done > 0 ? static_cast<size_t>(done) : 0;
    std::array<io_event, kBatch> events;
    timespec no_wait{};
    if (submitted > 0) syscall(SYS_io_getevents, context_, 0, kBatch, events.data(), &no_wait);
    eventfds = eventfds.subspan(submitted == count ? count : submitted + 1);
  }
}

}  // namespace weir::dataplane::memif
