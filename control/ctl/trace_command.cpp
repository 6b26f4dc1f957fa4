// weirctl trace
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>

#include "control/ctl/port_view.h"
#include "control/ctl/program.h"
#include "control/ctl/trace_view.h"

namespace weir::ctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kReadInterval = std::chrono::milliseconds(100);
constexpr uint32_t kMaxPackets = 1000;  // the dataplane's own bound

struct TraceOptions {
  std::string port;
  uint32_t count = 10;
  bool drops_only = false;
  double timeout = 0;  // seconds, 0 = until count or Ctrl-C
};

// Keeps the signals that end a trace away from the process while it lives, so that
// the trace is stopped in the dataplane whatever ends it.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~StopSignals() {
    // A signal that came late was answered by stopping; it must not kill afterwards.
    const timespec now{};
    while (sigtimedwait(&set_, nullptr, &now) > 0) continue;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // True when a signal came within `time`.
  bool wait(std::chrono::milliseconds time) {
    const timespec limit{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
    return sigtimedwait(&set_, nullptr, &limit) > 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

// Ends the trace in the dataplane; when that is gone there is nothing to end.
class TraceStopper {
 public:
  explicit TraceStopper(api::Client& client) : client_(client) {}
  ~TraceStopper() { (void)client_.trace_start(api::TraceFilter{}); }
  TraceStopper(const TraceStopper&) = delete;
  TraceStopper& operator=(const TraceStopper&) = delete;

 private:
  api::Client& client_;
};

struct Knowledge {
  PortNames names;
  DropTexts drops;
};

void print(Session& session, const TracedPacket& packet, const Knowledge& known) {
  session.out << (session.json ? dump_line(traced_packet_json(packet, known.names, known.drops))
                               : traced_packet_text(packet, known.names, known.drops))
              << std::flush;
}

// Prints what is whole; returns how many packets that were.
uint32_t print_ready(Session& session, TraceGatherer& gatherer, const Knowledge& known,
                     uint32_t wanted) {
  uint32_t printed = 0;
  while (printed < wanted) {
    const auto packet = gatherer.next();
    if (!packet) break;
    print(session, *packet, known);
    ++printed;
  }
  return printed;
}

Status follow(Session& session, api::Client& client, const TraceOptions& options, const Knowledge& known,
              StopSignals& signals) {
  const auto limit = std::chrono::duration<double>(options.timeout);
  const Clock::time_point start = Clock::now();
  TraceGatherer gatherer(known.drops);
  uint32_t left = options.count;
  bool stop = false;
  while (left > 0 && !stop && session.out) {
    stop = signals.wait(kReadInterval) || (options.timeout > 0 && Clock::now() - start >= limit);
    const auto records = client.trace_read();
    if (!records) return records.error();
    gatherer.add(*records);
    left -= print_ready(session, gatherer, known, left);
  }
  gatherer.finish();
  left -= print_ready(session, gatherer, known, left);
  if (left == options.count && !session.json) session.err << "weirctl: no packet was traced\n";
  return {};
}

Status trace(Session& session, const TraceOptions& options) {
  auto client = session.dataplane();
  if (!client) return client.error();
  const auto ports = client->port_list();
  if (!ports) return ports.error();
  const auto drops = client->drop_list();
  if (!drops) return drops.error();
  api::TraceFilter filter{.packets = options.count, .drops_only = options.drops_only};
  if (!options.port.empty()) {
    const auto port = find_port(*ports, options.port);
    if (!port) return port.error();
    filter.port_key = (*port)->config.key;
  }
  StopSignals signals;
  // Records that an earlier trace left behind are not ours.
  if (const auto stale = client->trace_read(); !stale) return stale.error();
  if (const Status started = client->trace_start(filter); !started) return started;
  const TraceStopper stopper(*client);
  return follow(session, *client, options, {port_names(*ports), drop_texts(*drops)}, signals);
}

}  // namespace

void add_trace_command(Program& program) {
  const auto options = std::make_shared<TraceOptions>();
  CLI::App* command =
      program.verb(program.root(), "trace", "follows packets through the stages",
                   [options](Session& session) { return trace(session, *options); });
  command->add_option("--port", options->port, "only packets received on this port")
      ->type_name("PORT");
  command->add_option("--count", options->count, "stop after so many packets, 1 to 1000")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxPackets).description(""));
  command->add_flag("--drops", options->drops_only, "only packets that are dropped");
  command->add_option("--timeout", options->timeout, "stop after so many seconds")
      ->type_name("S")
      ->check(CLI::Range(0.0, 86400.0).description(""));
  add_trace_route_command(program, command);
}

}  // namespace weir::ctl
