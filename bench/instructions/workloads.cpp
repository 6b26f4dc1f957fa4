// Fixed pieces of work for counting instructions under callgrind, which tells a slower
// program from a slower machine. Called by tests/bench/test_instructions.py:
//   valgrind --tool=callgrind --toggle-collect=weir_measured_round workloads NAME ROUNDS
// Only what runs inside weir_measured_round counts. One round is 64 packets or lookups.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "bench/memif/device.h"
#include "bench/memif/pods.h"
#include "bench/stages/vector_traffic.h"
#include "bench/traffic/prefixes.h"
#include "dataplane/tables/route_table.h"
#include "tests/dataplane/services.h"

namespace weir::bench {

class Workload {
 public:
  virtual ~Workload() = default;
  virtual void prepare() {}
  virtual void round() = 0;
  virtual void finish() {}
};

}  // namespace weir::bench

extern "C" __attribute__((noinline)) void weir_measured_round(weir::bench::Workload& workload) {
  workload.round();
}

namespace weir::bench {

namespace {

using namespace dataplane;

constexpr uint16_t kBatch = 64;
constexpr uint32_t kPrefixes = 5000;

// All stages over one vector of equal frames.
class Stages final : public Workload {
 public:
  // `prepare_lab`: sets up what the frames need.
  explicit Stages(const test::Bytes& frame, void (*prepare_lab)(test::Lab&) = nullptr,
                  uint16_t in_port = test::kPodA)
      : traffic_(prepared(lab_, prepare_lab), frame, kBatch, in_port) {
    if (prepare_lab == nullptr) return;
    prepare();
    round();
    finish();
  }
  void prepare() override { traffic_.receive(); }
  void round() override {
    run_pipeline<false>(lab_.vector(), lab_.context(), lab_.counters(), nullptr);
  }
  void finish() override {
    if (lab_.vector().queue(Next::tx).count != kBatch) std::abort();
    lab_.vector().queue(Next::tx).count = 0;
    settle(lab_.vector(), lab_.context());
  }

 private:
  // Before there are frames, as it may send some of its own.
  static test::Lab& prepared(test::Lab& lab, void (*prepare_lab)(test::Lab&)) {
    if (prepare_lab != nullptr) prepare_lab(lab);
    return lab;
  }

  test::Lab lab_;
  VectorTraffic traffic_;
};

template <class Table, Family kFamily>
class Lookups final : public Workload {
 public:
  Lookups() {
    const auto prefixes = random_prefixes(kFamily, kPrefixes);
    for (const IpPrefix& prefix : prefixes) {
      if (!fib_.set(key(prefix.address), prefix.length, 1)) std::abort();
    }
    for (const IpAddress& address : random_addresses(prefixes, kBatch))
      keys_.push_back(key(address));
  }
  void round() override { fib_.lookup(keys_.data(), found_.data(), kBatch); }
  void finish() override {
    for (const uint32_t hop : found_) {
      if (hop != 1) std::abort();
    }
  }

 private:
  static typename Table::Key key(const IpAddress& address) {
    typename Table::Key key;
    std::memcpy(key.data(), address.bytes.data(), key.size());
    return key;
  }

  Rcu rcu_{1};
  Table fib_{rcu_};
  std::vector<typename Table::Key> keys_;
  std::array<uint32_t, kBatch> found_{};
};

// A worker's whole sweep from one memif pod to another.
class Memif final : public Workload {
 public:
  explicit Memif(uint16_t frame)
      : directory_(make_directory()),
        device_(make_weir({.directory = directory_})),
        pods_(
            directory_, [this] { device_->pump(); }, {.frame = frame, .batch = kBatch}, kLog2Ring) {
  }
  ~Memif() override {
    device_.reset();
    std::filesystem::remove_all(directory_);
  }
  void prepare() override {
    pods_.send();
    owed_ += kBatch;
  }
  void round() override { device_->round(); }
  void finish() override {
    owed_ -= pods_.receive();
    // A sweep may end before it has sent what it took in; the next one does.
    if (owed_ > 2 * kBatch) std::abort();
  }

 private:
  static constexpr uint8_t kLog2Ring = 10;

  std::string directory_;
  std::unique_ptr<Device> device_;
  Pods pods_;
  unsigned owed_ = 0;
};

test::Bytes frame4() { return test::eth(kEtherIp4, test::ip4({}, test::udp(test::filler(22)))); }
test::Bytes frame6() { return test::eth(kEtherIp6, test::ip6({}, test::udp(test::filler(22)))); }

// Datagrams of an open connection to a service.
test::Bytes service4() {
  return test::eth(kEtherIp4, test::ip4({.destination = test::kVip4},
                                        test::udp(test::filler(22), {.destination = 80})));
}
test::Bytes service6() {
  return test::eth(kEtherIp6, test::ip6({.destination = test::kVip6},
                                        test::udp(test::filler(22), {.destination = 80})));
}

// The same connections' datagrams from pod B.
const test::Eth kFromPodB{.source = test::mac("02:00:00:00:00:0b")};
test::Bytes reply4() {
  return test::eth(kEtherIp4,
                   test::ip4({.source = "10.1.0.3", .destination = "10.1.0.2"},
                             test::udp(test::filler(22), {.source = 8080, .destination = 4000})),
                   kFromPodB);
}
test::Bytes reply6() {
  return test::eth(kEtherIp6,
                   test::ip6({.source = "fd00::3", .destination = "fd00::2"},
                             test::udp(test::filler(22), {.source = 8080, .destination = 4000})),
                   kFromPodB);
}
void open_both(test::Lab& lab) {
  test::serve_one(lab);
  for (const test::Bytes& frame : {service4(), service6()}) {
    if (lab.run(frame).out_port != test::kPodB) std::abort();
  }
}

using Make = std::function<std::unique_ptr<Workload>()>;
const std::map<std::string, Make> kWorkloads{
    {"stages-ip4", [] { return std::make_unique<Stages>(frame4()); }},
    {"stages-ip6", [] { return std::make_unique<Stages>(frame6()); }},
    {"service-ip4", [] { return std::make_unique<Stages>(service4(), test::serve_one); }},
    {"service-ip6", [] { return std::make_unique<Stages>(service6(), test::serve_one); }},
    {"service-reply-ip4",
     [] { return std::make_unique<Stages>(reply4(), open_both, test::kPodB); }},
    {"service-reply-ip6",
     [] { return std::make_unique<Stages>(reply6(), open_both, test::kPodB); }},
    // Plain packets where others have connections.
    {"bystander-ip4", [] { return std::make_unique<Stages>(frame4(), open_both); }},
    {"bystander-ip6", [] { return std::make_unique<Stages>(frame6(), open_both); }},
    {"lookup-ip4", [] { return std::make_unique<Lookups<Fib4, Family::ip4>>(); }},
    {"lookup-ip6", [] { return std::make_unique<Lookups<Fib6, Family::ip6>>(); }},
    {"memif-64", [] { return std::make_unique<Memif>(60); }},
    {"memif-1518", [] { return std::make_unique<Memif>(1514); }},
};

int run(const std::string& name, int rounds) {
  const auto found = kWorkloads.find(name);
  if (found == kWorkloads.end()) {
    for (const auto& [known, make] : kWorkloads) std::puts(known.c_str());
    return 2;
  }
  const std::unique_ptr<Workload> workload = found->second();
  for (int i = 0; i < rounds; ++i) {
    workload->prepare();
    weir_measured_round(*workload);
    workload->finish();
  }
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: workloads NAME ROUNDS\n", stderr);
    return 2;
  }
  return weir::bench::run(argv[1], std::atoi(argv[2]));
}
