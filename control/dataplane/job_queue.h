// Calls that wait for the session's thread.
#pragma once

#include <sys/eventfd.h>

#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "dataplane/api/client.h"
#include "dataplane/api/codec.h"

namespace weir::control {

struct Job {
  std::function<bool(api::Client&)> run;   // false: the connection is broken
  std::function<void(const Error&)> fail;  // instead of run
};

// Thread safety: any thread. Closed at first.
class JobQueue {
 public:
  using Clock = std::chrono::steady_clock;

  JobQueue();

  // A closed queue fails the job at once.
  void push(Job job);
  // The next job, which counts as in hand until the next call of pop() or idle().
  std::optional<Job> pop();
  void idle();
  // Since when a job is in hand; nullopt: none is.
  std::optional<Clock::time_point> busy_since() const;

  void open();
  // Fails what waits, and everything pushed later, with `reason`.
  void close(const Error& reason);

  // Readable while jobs may wait, or after wake().
  int event_fd() const noexcept { return event_.get(); }
  void wake() const noexcept;

 private:
  mutable std::mutex mutex_;
  api::Fd event_;
  std::deque<Job> jobs_;
  std::optional<Error> closed_;
  std::optional<Clock::time_point> busy_since_;
};

}  // namespace weir::control
