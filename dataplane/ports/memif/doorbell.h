// Raises a peer's eventfd without ever blocking on it.
//
// write() will not do: the peer shares the file description, may clear O_NONBLOCK and
// fill the counter, and a write would then wait for it. Instead the kernel raises the
// eventfd as the completion of a trivial asynchronous read (IOCB_FLAG_RESFD, io_submit(2)):
// eventfd_signal() saturates and never waits, and io_submit refuses any other kind of fd.
#pragma once

#include <span>

#include "dataplane/api/codec.h"

namespace weir::dataplane::memif {

// Threads: one at a time.
class Doorbell {
 public:
  // Error unavailable: the kernel has no asynchronous I/O to give.
  static Result<Doorbell> create();
  Doorbell(Doorbell&& other) noexcept
      : context_(std::exchange(other.context_, 0)), empty_file_(std::move(other.empty_file_)) {}
  ~Doorbell();

  // Adds 1 to each eventfd's counter, unless it is full. Other descriptors are skipped.
  void raise(std::span<const int> eventfds);

 private:
  Doorbell(unsigned long context, api::Fd empty_file)
      : context_(context), empty_file_(std::move(empty_file)) {}

  unsigned long context_;  // aio_context_t
  api::Fd empty_file_;     // a read of it completes at once
};

}  // namespace weir::dataplane::memif
