// One line about a frame from its first bytes, for people who read a trace.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace weir::ctl {

// `head`: the frame's first bytes in wire order, as many as there are; `length`: the
// whole frame's. Any bytes are fine: what is cut short or not known is said so.
std::string describe_frame(std::span<const uint8_t> head, uint32_t length);

}  // namespace weir::ctl
