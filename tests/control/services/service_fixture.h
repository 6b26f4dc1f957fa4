// Services and endpoints of tests, from their compact form.
#pragma once

#include <gtest/gtest.h>

#include "control/services/catalog.h"
#include "control/services/parse.h"

namespace weir::control {

inline IpAddress ip(const char* text) { return parse_address(text).value(); }
inline IpPrefix net(const char* text) { return parse_prefix(text).value(); }

inline NodeFacts test_node() {
  return {.name = "here",
          .zone = "z1",
          .addresses = {ip("192.0.2.1"), ip("2001:db8::1"), ip("10.244.0.1")},
          .pod_prefixes = {net("10.244.0.0/24"), net("fd00:10:244::/64")},
          .inside = {net("10.244.0.0/16")},
          .masquerade = {ip("10.244.0.1"), ip("fd00:10:244::1")},
          .kept = {net("10.0.0.0/8")}};
}

inline ServiceObjects read_objects(const std::string& text) {
  auto objects = parse_objects(text);
  EXPECT_TRUE(objects) << objects.error().msg << ": " << objects.error().details;
  return objects ? *std::move(objects) : ServiceObjects{};
}

// The error's text; empty when it was read.
inline std::string read_error(const std::string& text) {
  const auto objects = parse_objects(text);
  return objects ? "" : objects.error().msg + "; " + objects.error().details;
}

inline std::vector<const EndpointSlice*> pointers(const ServiceObjects& objects) {
  std::vector<const EndpointSlice*> out;
  for (const EndpointSlice& slice : objects.slices) out.push_back(&slice);
  return out;
}

// "address:port" of each backend.
inline std::vector<std::string> texts(const Backends& backends) {
  std::vector<std::string> out;
  for (const api::Backend& backend : backends) {
    out.push_back(to_string(backend.address) + ":" + std::to_string(backend.port));
  }
  return out;
}

}  // namespace weir::control
