#include "control/dataplane/job_queue.h"

#include <utility>

namespace weir::control {

JobQueue::JobQueue()
    : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      closed_(Error{ErrorCode::unavailable, "weir-dataplane is not connected yet: try again"}) {}

void JobQueue::push(Job job) {
  std::optional<Error> closed;
  {
    const std::scoped_lock lock(mutex_);
    closed = closed_;
    if (!closed) jobs_.push_back(std::move(job));
  }
  if (closed) {
    job.fail(*closed);
  } else {
    wake();
  }
}

std::optional<Job> JobQueue::pop() {
  const std::scoped_lock lock(mutex_);
  busy_since_.reset();
  if (jobs_.empty()) return std::nullopt;
  busy_since_ = Clock::now();
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

void JobQueue::idle() {
  const std::scoped_lock lock(mutex_);
  busy_since_.reset();
}

std::optional<JobQueue::Clock::time_point> JobQueue::busy_since() const {
  const std::scoped_lock lock(mutex_);
  return busy_since_;
}

void JobQueue::open() {
  const std::scoped_lock lock(mutex_);
  closed_.reset();
}

void JobQueue::close(const Error& reason) {
  std::deque<Job> failed;
  {
    const std::scoped_lock lock(mutex_);
    closed_ = reason;
    busy_since_.reset();
    failed.swap(jobs_);
  }
  for (const Job& job : failed) job.fail(reason);
}

void JobQueue::wake() const noexcept {
  // A full counter is readable all the same.
  if (eventfd_write(event_.get(), 1) != 0) return;
}

}  // namespace weir::control
