#include "control/dataplane/session.h"

#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace weir::control {

namespace {

// A healthy dataplane answers within a few milliseconds; STATUS must not wait longer.
constexpr std::chrono::milliseconds kOverdue(1500);

const Error kStopping{ErrorCode::unavailable, "weir-control is stopping"};

}  // namespace

DataplaneSession::DataplaneSession(asio::io_context& loop, SessionOptions options,
                                   SessionEvents events)
    : loop_(loop), options_(std::move(options)), events_(std::move(events)) {
  view_.reason = "weir-dataplane is not connected yet";
}

DataplaneSession::~DataplaneSession() { stop(); }

void DataplaneSession::start() {
  thread_ = std::thread([this] { run(); });
}

void DataplaneSession::stop() {
  *alive_ = false;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  jobs_.close(kStopping);
  jobs_.wake();
  if (thread_.joinable()) thread_.join();
}

bool DataplaneSession::ready() const {
  const auto since = jobs_.busy_since();
  if (since && JobQueue::Clock::now() - *since > kOverdue) return false;
  const std::scoped_lock lock(mutex_);
  return view_.ready;
}

SessionView DataplaneSession::view() const {
  const bool is_ready = ready();
  const std::scoped_lock lock(mutex_);
  SessionView view = view_;
  if (view.ready && !is_ready) view.reason = "weir-dataplane does not answer";
  view.ready = is_ready;
  return view;
}

bool DataplaneSession::stopping() const {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void DataplaneSession::pause(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, duration, [this] { return stopping_; });
}

void DataplaneSession::set_ready(const api::Client& client, const ReplayReport& report) {
  const std::scoped_lock lock(mutex_);
  view_ = {.ready = true,
           .instance = client.peer().instance,
           .generation = report.generation,
           .pid = client.peer().pid};
}

void DataplaneSession::set_down(const Error& error) {
  bool news = false;
  {
    const std::scoped_lock lock(mutex_);
    news = view_.reason != error.text;
    view_.ready = false;
    view_.reason = error.text;
    view_.pid = 0;
  }
  // Once for each cause, not for each attempt.
  if (news && error.text != kStopping.text) spdlog::warn("dataplane: {}", error.text);
  jobs_.close({ErrorCode::unavailable, error.text});
}

void DataplaneSession::run() {
  std::chrono::milliseconds wait = options_.first_pause;
  while (!stopping()) {
    Result<api::Client> client =
        api::Client::connect(options_.socket, "weir-control", options_.call_timeout);
    const Error ended = client ? serve(*client) : client.error();
    const bool was_ready = view().ready;
    set_down(ended);
    wait = was_ready ? options_.first_pause : std::min(wait * 2, options_.longest_pause);
    pause(wait);
  }
}

Error DataplaneSession::serve(api::Client& client) {
  if (const Status replayed = replay_plan(client); !replayed) return replayed.error();
  return serve_jobs(client);
}

Error DataplaneSession::serve_jobs(api::Client& client) {
  auto last_call = JobQueue::Clock::now();
  while (true) {
    std::array<pollfd, 2> fds{{{client.socket(), POLLIN, 0}, {jobs_.event_fd(), POLLIN, 0}}};
    poll(fds.data(), fds.size(), static_cast<int>(options_.ping_interval.count()));
    if (stopping()) return kStopping;
    // Between calls the dataplane has nothing to say but that it is gone.
    if (fds[0].revents != 0)
      return {ErrorCode::unavailable, "weir-dataplane closed the connection"};
    eventfd_t wakes = 0;
    if ((fds[1].revents & POLLIN) != 0) eventfd_read(jobs_.event_fd(), &wakes);
    if (JobQueue::Clock::now() - last_call >= options_.ping_interval) ping();
    while (const std::optional<Job> job = jobs_.pop()) {
      if (!job->run(client)) return {ErrorCode::unavailable, "weir-dataplane stopped answering"};
      last_call = JobQueue::Clock::now();
      if (stopping()) return kStopping;
    }
  }
}

void DataplaneSession::ping() {
  push<Result<api::DataplaneStatus>>([](api::Client& client) { return client.status(); },
                                     [](const Result<api::DataplaneStatus>&) {});
}

Status DataplaneSession::replay_plan(api::Client& client) {
  const Result<ReplayPlan> plan = ask_plan();
  if (!plan) return plan.error();
  const Result<ReplayReport> report = replay(client, *plan);
  if (!report) return report.error();
  set_ready(client, *report);
  asio::post(loop_, [this, alive = alive_, report = *report] {
    if (*alive) events_.replayed(report);
  });
  return {};
}

Result<ReplayPlan> DataplaneSession::ask_plan() {
  const auto slot = std::make_shared<std::optional<Result<ReplayPlan>>>();
  asio::post(loop_, [this, alive = alive_, slot] {
    if (!*alive) return;
    Result<ReplayPlan> plan = events_.plan();
    if (plan) jobs_.open();
    const std::scoped_lock lock(mutex_);
    slot->emplace(std::move(plan));
    wake_.notify_all();
  });
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || slot->has_value(); });
  if (stopping_) return kStopping;
  return **slot;
}

}  // namespace weir::control
