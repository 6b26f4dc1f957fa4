// A traced packet: its records gathered from the stream, then shown.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/ctl/port_view.h"
#include "control/ctl/text.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

// Reasons by name, as drop_list gives them.
using DropTexts = std::map<std::string, std::string>;
DropTexts drop_texts(std::span<const api::DropCounter> drops);

// All steps of one packet in order; never empty.
struct TracedPacket {
  std::vector<api::TraceRecord> steps;
};

// Puts records together to packets. A packet's records come in order, but one read
// may end in the middle of a packet.
class TraceGatherer {
 public:
  explicit TraceGatherer(const DropTexts& drops) : drops_(&drops) {}

  void add(std::span<const api::TraceRecord> records);
  // The next packet whose end was seen.
  std::optional<TracedPacket> next();
  // No more records will come: what has no end counts as whole.
  void finish();

 private:
  bool ends(const api::TraceRecord& record) const;
  void complete(uint32_t worker);

  const DropTexts* drops_;
  std::map<uint32_t, TracedPacket> open_;  // one a worker
  std::deque<TracedPacket> whole_;
};

// Where a packet came from, each stage with its verdict (and the frame when the stage
// changed it), and how it ended.
std::string traced_packet_text(const TracedPacket& packet, const PortNames& names,
                               const DropTexts& drops);
Json traced_packet_json(const TracedPacket& packet, const PortNames& names, const DropTexts& drops);

}  // namespace weir::ctl
