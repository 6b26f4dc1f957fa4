// Services and EndpointSlices from JSON, as the Kubernetes API serves it, and from weir's
// compact form.
//
// Errors name the JSON path and what is allowed there: code 6 for a wrong type, 7 for a
// value that cannot be. Keys that weir has no use for are ignored, as clients of the API do.
#pragma once

#include <string>
#include <vector>

#include "cni/error.h"
#include "cni/json.h"
#include "control/services/object.h"

namespace weir::control {

// What a document may hold at most.
inline constexpr size_t kMaxServicePorts = 100;
inline constexpr size_t kMaxServiceAddresses = 100;
inline constexpr size_t kMaxSourceRanges = 1000;
inline constexpr size_t kMaxSliceEndpoints = 10000;

// The single Service and EndpointSlice documents of `document`, which is one of: a Service, an
// EndpointSlice, a List (ServiceList and EndpointSliceList too), a compact service, a
// list of such documents. Compact ones are written out as a Service and a slice for each family.
cni::Outcome<std::vector<cni::Json>> flatten_objects(const cni::Json& document);

// One document out of flatten_objects(); appended to `objects`.
cni::Outcome<bool> parse_object(const cni::Json& document, ServiceObjects& objects);

// Both at once, for text of at most cni::kMaxDocument bytes.
cni::Outcome<ServiceObjects> parse_objects(const std::string& text);

cni::Outcome<Service> parse_service(const cni::Json& document);
cni::Outcome<EndpointSlice> parse_slice(const cni::Json& document);

bool is_slice(const cni::Json& document);
// namespace/name of its metadata, the default namespace filled in.
cni::Outcome<ObjectName> read_name(const cni::Json& document);

// "TCP", "UDP" or "SCTP", in any case; empty = TCP. 0 for all else.
uint8_t protocol_of(const std::string& text);
const char* protocol_text(uint8_t protocol);

// An address that can be a service's or an endpoint's: neither unspecified, loopback,
// link-local nor multicast.
bool is_service_address(const IpAddress& address);

}  // namespace weir::control
