#include "control/cni/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxOutput = size_t{8} << 20;
constexpr size_t kMaxErrors = size_t{4} << 10;

struct Pipe {
  api::Fd read;
  api::Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error("cannot make a pipe", errno);
  return Pipe{api::Fd(ends[0]), api::Fd(ends[1])};
}

// The child's part between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const* arguments, char* const* environment, int in, int out,
                         int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) {
    _exit(127);
  }
  close_range(STDERR_FILENO + 1, ~0U, 0);
  execve(arguments[0], arguments, environment);
  _exit(127);
}

// As execve() wants them; good as long as the strings.
std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// A running program; killed and reaped when it is destroyed before its end.
class Child {
 public:
  static Result<Child> start(const Program& program);
  Child(Child&& other) noexcept = default;
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (exit_) finish(true);
  }

  // Feeds and drains it until it ends.
  Result<ProgramEnd> run(const Program& program);

 private:
  Child() = default;
  int finish(bool kill_first);
  Status exchange(const std::string& input, Clock::time_point end, ProgramEnd& seen);
  bool feed(const std::string& input);
  Status drain(ProgramEnd& seen);

  pid_t pid_ = -1;
  api::Fd exit_;  // pidfd
  api::Fd in_;
  api::Fd out_;
  api::Fd err_;
  size_t fed_ = 0;
};

Result<Child> Child::start(const Program& program) {
  auto in = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  if (!in || !out || !err) return errno_error("cannot make a pipe", EMFILE);
  std::vector<char*> environment = pointers(program.environment);
  std::vector<char*> arguments = pointers(program.arguments);
  arguments.insert(arguments.begin(), const_cast<char*>(program.path.c_str()));
  Child child;
  child.pid_ = fork();
  if (child.pid_ == 0) {
    become(arguments.data(), environment.data(), in->read.get(), out->write.get(),
           err->write.get());
  }
  if (child.pid_ < 0) return errno_error("cannot start " + program.path, errno);
  setpgid(child.pid_, child.pid_);  // here too: a kill may come before the child ran
  child.exit_.reset(static_cast<int>(syscall(SYS_pidfd_open, child.pid_, 0)));
  child.in_ = std::move(in->write);
  child.out_ = std::move(out->read);
  child.err_ = std::move(err->read);
  for (const api::Fd* fd : {&child.in_, &child.out_, &child.err_}) {
    fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  }
  if (child.exit_) return child;
  const Error error = errno_error("cannot watch " + program.path, errno);
  child.finish(true);
  return error;
}

int Child::finish(bool kill_first) {
  if (kill_first) ::kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_.reset();
  return status;
}

// True: more is to be written.
bool Child::feed(const std::string& input) {
  const ssize_t count = write(in_.get(), input.data() + fed_, input.size() - fed_);
  if (count > 0) fed_ += static_cast<size_t>(count);
  const bool refused = count < 0 && errno != EAGAIN && errno != EINTR;
  return fed_ < input.size() && !refused;  // one that does not read all of it may still be right
}

// What has arrived of both streams.
Status Child::drain(ProgramEnd& seen) {
  std::array<char, 16384> buffer;
  while (out_) {
    const ssize_t count = read(out_.get(), buffer.data(), buffer.size());
    if (count < 0) break;
    if (count == 0) out_.reset();
    seen.output.append(buffer.data(), static_cast<size_t>(count));
    if (seen.output.size() > kMaxOutput) return {ErrorCode::limit, "it printed more than 8 MiB"};
  }
  while (err_) {
    const ssize_t count = read(err_.get(), buffer.data(), buffer.size());
    if (count < 0) break;
    if (count == 0) err_.reset();
    const size_t room = kMaxErrors - std::min(kMaxErrors, seen.errors.size());
    seen.errors.append(buffer.data(), std::min(room, static_cast<size_t>(count)));
  }
  return {};
}

// Until the process itself has ended: a child of its own may hold the streams for longer.
Status Child::exchange(const std::string& input, Clock::time_point end, ProgramEnd& seen) {
  if (input.empty()) in_.reset();
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return {ErrorCode::timeout, "it did not end in time and was killed"};
    std::array<pollfd, 4> fds{{{exit_.get(), POLLIN, 0},
                               {out_ ? out_.get() : -1, POLLIN, 0},
                               {err_ ? err_.get() : -1, POLLIN, 0},
                               {in_ ? in_.get() : -1, POLLOUT, 0}}};
    if (poll(fds.data(), fds.size(), static_cast<int>(left)) < 0 && errno != EINTR) {
      return errno_error("cannot wait for it", errno);
    }
    if (fds[3].revents != 0 && !feed(input)) in_.reset();
    if (const Status drained = drain(seen); !drained) return drained;
    if ((fds[0].revents & POLLIN) != 0) return {};
  }
}

Result<ProgramEnd> Child::run(const Program& program) {
  ProgramEnd seen;
  const Status done = exchange(program.input, Clock::now() + program.bound, seen);
  seen.status = finish(!done);
  if (!done) return done.error();
  return seen;
}

}  // namespace

Result<ProgramEnd> run_program(const Program& program) {
  Result<Child> child = Child::start(program);
  if (!child) return child.error();
  return child->run(program);
}

}  // namespace weir::control
