// weir-bench: loads whatever forwards between two memif ports, and says in JSON what came
// through. bench/run calls it; by hand:
//   weir-bench traffic --from a.sock --to b.sock --source 10.244.0.2 --source-mac …
//   --target 10.244.0.3 weir-bench back-to-back        the generator without a device: its headroom
//   weir-bench routes --dataplane dataplane.sock --gateway 10.244.0.3 --count 1000000
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/traffic/core.h"
#include "bench/traffic/memif_client.h"
#include "bench/traffic/mirror.h"
#include "bench/traffic/prefixes.h"
#include "bench/traffic/routes.h"
#include "bench/traffic/traffic.h"

namespace weir::bench {
namespace {

constexpr uint32_t kHeaders = 128;               // bytes; all that the sink checks
constexpr uint32_t kTargetsInRoutes = 1U << 20;  // do not fit near caches

struct Options {
  std::string from;
  std::string to;
  std::vector<std::string> idle;
  std::string source = "10.244.0.2";
  std::string source_mac = "02:00:00:00:00:01";
  std::string gateway_mac = to_string(kGatewayMac);
  std::string target = "10.244.0.3";
  uint32_t targets = 1;
  std::string delivered;
  uint32_t routes = 0;
  uint32_t flows = 1;
  unsigned core = 0;
  unsigned device_core = 1;
  bool inline_device = false;
  bool whole = false;
  bool realtime = false;
  bool latency = false;
  ClientOptions client;
  TrafficOptions traffic;
  RouteOptions change;
};

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  throw CLI::RuntimeError(result.error().text, 1);
}

template <class T>
T parsed(std::optional<T> value, const std::string& text) {
  if (value) return *value;
  throw CLI::ValidationError("'" + text +
                             "' is no address; write 10.0.0.1, fd00::1 or 02:00:00:00:00:01");
}

std::vector<IpAddress> addresses_from(IpAddress address, uint32_t count) {
  std::vector<IpAddress> addresses;
  for (uint32_t i = 0; i < count; ++i) {
    addresses.push_back(address);
    for (size_t at = address.is_ip4() ? 3 : 15; ++address.bytes[at] == 0 && at > 0; --at) continue;
  }
  return addresses;
}

FrameSpec frame_spec(const Options& options) {
  FrameSpec spec;
  spec.source = parsed(parse_address(options.source), options.source);
  spec.source_mac = parsed(parse_mac(options.source_mac), options.source_mac);
  spec.gateway_mac = parsed(parse_mac(options.gateway_mac), options.gateway_mac);
  spec.flows = std::max(options.flows, 1U);
  if (!options.delivered.empty())
    spec.delivered = parsed(parse_address(options.delivered), options.delivered);
  if (options.routes == 0) {
    spec.targets = addresses_from(parsed(parse_address(options.target), options.target),
                                  options.targets);
  } else {
    const auto prefixes = random_prefixes(spec.source.family, options.routes);
    spec.targets = random_addresses(prefixes, kTargetsInRoutes);
  }
  return spec;
}

nlohmann::json percentiles(const Histogram& histogram) {
  return {{"p50", histogram.percentile(50)},       {"p90", histogram.percentile(90)},
          {"p99", histogram.percentile(99)},       {"p99.9", histogram.percentile(99.9)},
          {"p99.99", histogram.percentile(99.99)}, {"max", histogram.max()},
          {"samples", histogram.total()}};
}

void print(const TrafficReport& report, bool latency) {
  nlohmann::json json{
      {"seconds", report.seconds},
      {"mpps", static_cast<double>(report.received) / report.seconds / 1e6},
      {"gbps", static_cast<double>(report.received_bytes) * 8 / report.seconds / 1e9},
      {"offered", report.offered},
      {"refused", report.refused},
      {"sent", report.sent},
      {"received", report.received},
      {"lost", report.lost},
      {"checked", report.checked},
      {"bad", report.bad},
      {"stalls", report.stalls},
      {"busy", report.busy},
      {"waited", report.waited},
  };
  if (latency) json["latency_ns"] = percentiles(report.latency_ns);
  std::puts(json.dump().c_str());
}

void run_traffic(const Options& options) {
  std::vector<MemifClient> idle;
  for (const std::string& path : options.idle) idle.push_back(must(MemifClient::connect(path, {})));
  const MemifClient sender = must(MemifClient::connect(options.from, options.client));
  const MemifClient receiver = must(MemifClient::connect(options.to, options.client));
  Traffic traffic(sender.tx(), receiver.rx(), Frames(frame_spec(options)), options.traffic);
  claim_core(options.core, options.realtime);
  print(traffic.run(), options.latency);
}

void run_back_to_back(const Options& options) {
  const MemifClient sender = must(MemifClient::detached(options.client));
  const MemifClient receiver = must(MemifClient::detached(options.client));
  Mirror mirror(sender.view(0), receiver.view(1), options.whole ? UINT32_MAX : kHeaders);
  std::function<void()> device;
  std::jthread thread;
  if (options.inline_device) {
    device = [&mirror] { mirror.round(); };
  } else {
    thread =
        std::jthread([&](const std::stop_token& stop) { mirror.run(options.device_core, stop); });
  }
  Traffic traffic(sender.tx(), receiver.rx(), Frames(frame_spec(options)), options.traffic, device);
  claim_core(options.core, options.realtime);
  print(traffic.run(), options.latency);
}

void run_routes(const Options& options) {
  const RouteReport report = must(change_routes(options.change));
  std::puts(
      nlohmann::json{{"changes", report.changes}, {"seconds", report.seconds}}.dump().c_str());
}

void add_frame_options(CLI::App& app, Options& options) {
  const std::map<std::string, Mode> modes{{"touch", Mode::touch}, {"replay", Mode::replay}};
  app.add_option("--mode", options.traffic.mode,
                 "touch writes headers, replay moves descriptors alone")
      ->transform(CLI::CheckedTransformer(modes));
  app.add_option("--size", options.traffic.sizes,
                 "bytes with Ethernet's checksum; several are taken in turns")
      ->check(CLI::Range(64, 65000));
  app.add_option("--flows", options.flows, "different pairs of UDP ports")
      ->check(CLI::Range(1, 1 << 24));
  app.add_option("--routes", options.routes, "random targets inside so many random prefixes");
  app.add_option("--target", options.target, "where all frames go when there is no --routes");
  app.add_option("--targets", options.targets, "so many addresses from --target on, in turns")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--delivered", options.delivered,
                 "the address they arrive with, when --target is a service's");
  app.add_option("--source", options.source, "address the frames come from");
  app.add_option("--source-mac", options.source_mac, "the sending pod's");
  app.add_option("--gateway-mac", options.gateway_mac, "whom the frames are for");
  app.add_option("--rate", options.traffic.rate, "frames a second; 0 as many as go");
  app.add_option("--seconds", options.traffic.seconds, "measured time");
  app.add_option("--warmup", options.traffic.warmup, "seconds before it");
  app.add_option("--check-every", options.traffic.check_every,
                 "the sink reads one frame in so many")
      ->check(CLI::PositiveNumber);
  app.add_option("--log2-ring", options.client.log2_ring, "ring size")->check(CLI::Range(5, 14));
  app.add_option("--buffer", options.client.buffer, "bytes a descriptor")
      ->check(CLI::Range(128, 65536));
  app.add_option("--core", options.core, "where generator and sink run");
  app.add_flag("--realtime", options.realtime, "before all ordinary processes of that core");
  app.add_flag("--latency", options.latency, "print percentiles");
}

void add_commands(CLI::App& app, Options& options) {
  auto* traffic = app.add_subcommand("traffic", "load a device between two memif sockets");
  traffic->add_option("--from", options.from, "socket of the sending pod")->required();
  traffic->add_option("--to", options.to, "socket of the receiving pod")->required();
  traffic->add_option("--idle", options.idle, "sockets of pods that connect and do nothing");
  traffic->add_option("--receive-rings", options.client.receive_rings, "offered to the device")
      ->check(CLI::Range(1, 16));
  add_frame_options(*traffic, options);
  traffic->callback([&] { run_traffic(options); });

  auto* back = app.add_subcommand("back-to-back", "no device but a copy of headers, ring to ring");
  back->add_flag("--whole", options.whole, "the copy takes whole frames");
  back->add_option("--device-core", options.device_core, "where the copy runs");
  back->add_flag("--inline", options.inline_device, "the copy runs on the generator's core");
  add_frame_options(*back, options);
  back->callback([&] { run_back_to_back(options); });

  auto* routes = app.add_subcommand("routes", "put random routes into a running weir-dataplane");
  routes->add_option("--dataplane", options.change.socket, "its API socket")->required();
  routes->add_option("--gateway", options.change.gateway, "the pod that they lead to")->required();
  routes->add_option("--count", options.change.count, "how many prefixes")
      ->check(CLI::PositiveNumber);
  routes->add_option("--churn", options.change.churn_rate,
                     "then change this many a second, for --seconds");
  routes->add_option("--seconds", options.change.churn_seconds, "how long to change routes");
  routes->callback([&] { run_routes(options); });
  app.require_subcommand(1);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  CLI::App app{"Traffic for memif devices under test; prints one JSON object."};
  weir::bench::Options options;
  try {
    weir::bench::add_commands(app, options);
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& error) {
    std::fprintf(stderr, "weir-bench: %s\n", error.what());
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return 0;
}
