// What the parsers of Services and EndpointSlices share. Private to control/services.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cni/json.h"
#include "control/services/object.h"

namespace weir::control {

inline constexpr char kProtocols[] = "set TCP, UDP or SCTP";

void refuse(cni::FieldReader& reader, std::string what, std::string remedy);
// The error, with the object that it is about.
cni::Error in_object(const std::string& kind, const ObjectName& name, cni::Error error);

// nullptr when absent, or longer than `limit`, which is an error.
const cni::Json* bounded_array(cni::FieldReader& reader, const char* key, const std::string& where,
                               size_t limit);
Labels read_labels(cni::FieldReader& reader, const char* key, const std::string& where);
std::vector<IpAddress> read_addresses(cni::FieldReader& reader,
                                      const std::vector<std::string>& texts,
                                      const std::string& where);
// Host bits are cleared, blanks around it ignored.
std::optional<IpPrefix> lenient_prefix(const std::string& text);

}  // namespace weir::control
