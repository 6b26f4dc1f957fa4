#include "tests/dataplane/rows.h"

namespace weir::dataplane::test {
namespace {

constexpr uint64_t kMbit = 1'000'000;

// Takes all there is of a bucket, however deep.
void drain(Policer& policer, uint64_t now) {
  while (policer.take(now, 1)) {
  }
}

void limit(Lab& lab, uint16_t port) {
  lab.police(port, {.rx_rate = kMbit, .rx_burst = 1, .tx_rate = kMbit, .tx_burst = 1});
}
PortPolicers& policers(Lab& lab, uint16_t port) { return *lab.context().port(port)->policers; }

void limited(Lab& lab) {
  limit(lab, kPodA);
  limit(lab, kPodB);
}
void sender_spent(Lab& lab) {
  limited(lab);
  drain(policers(lab, kPodA).rx, lab.context().now);
}
void receiver_spent(Lab& lab) {
  limited(lab);
  drain(policers(lab, kPodB).tx, lab.context().now);
}
// The other direction's buckets do not count.
void others_spent(Lab& lab) {
  limited(lab);
  drain(policers(lab, kPodA).tx, lab.context().now);
  drain(policers(lab, kPodB).rx, lab.context().now);
}

}  // namespace

std::vector<Row> police_rows() {
  const Bytes frame4 = sent4(ip4({}, udp()));
  const Bytes frame6 = sent6(ip6({}, udp()));
  const Bytes routed = routed4(ip4({.ttl = 63}, udp()));
  return {
      {.name = "police_within",
       .frame = frame4,
       .out = {routed},
       .out_port = kPodB,
       .prepare = limited},
      {.name = "police_other_direction",
       .frame = frame4,
       .out = {routed},
       .out_port = kPodB,
       .prepare = others_spent},
      {.name = "police_from_pod4",
       .frame = frame4,
       .drop = Drop::police_from_pod,
       .prepare = sender_spent},
      {.name = "police_from_pod6",
       .frame = frame6,
       .drop = Drop::police_from_pod,
       .prepare = sender_spent},
      {.name = "police_to_pod4",
       .frame = frame4,
       .drop = Drop::police_to_pod,
       .prepare = receiver_spent},
      {.name = "police_to_pod6",
       .frame = frame6,
       .drop = Drop::police_to_pod,
       .prepare = receiver_spent},
  };
}

}  // namespace weir::dataplane::test
