// How ports look. Fixed records in, text or JSON out.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "control/ctl/text.h"
#include "dataplane/api/error.h"
#include "dataplane/api/protocol.h"

namespace weir::ctl {

std::string_view to_string(api::PortKind kind) noexcept;
std::string_view to_string(api::LinkState link) noexcept;

// Names by key, so that other views can say whose port a key is.
using PortNames = std::map<uint64_t, std::string>;
PortNames port_names(std::span<const api::PortState> ports);
// "default/web (key 7)", "key 7" when the port has no name or is gone, "" for key 0.
std::string port_label(uint64_t key, const PortNames& names);
// {"key", "name"}; null for key 0.
Json port_reference_json(uint64_t key, const PortNames& names);

// The port that a person means by its key, its name or one of its addresses.
// not_found, or invalid_argument when a name fits several ports.
Result<const api::PortState*> find_port(std::span<const api::PortState> ports,
                                        std::string_view reference);

std::string ports_text(std::span<const api::PortState> ports);
Json ports_json(std::span<const api::PortState> ports);

// One port with its drops; counters that are zero are left out.
std::string port_text(const api::PortState& port, std::span<const api::DropCounter> drops);
Json port_json(const api::PortState& port, std::span<const api::DropCounter> drops);

}  // namespace weir::ctl
