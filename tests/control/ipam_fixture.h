// A store and an IPAM over it, with a clock that tests move.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "control/ipam/ipam.h"
#include "tests/control/store_scratch.h"

namespace weir::control {

inline RangeSets ranges_of(const std::vector<std::string>& cidrs) {
  std::vector<IpPrefix> prefixes;
  for (const std::string& cidr : cidrs) prefixes.push_back(*parse_prefix(cidr));
  return default_ranges(prefixes);
}

inline std::string text_of(const std::vector<Lease>& leases) {
  std::string text;
  for (const Lease& lease : leases) text += (text.empty() ? "" : " ") + to_string(lease.address);
  return text;
}

class IpamTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    ipam_.reset();
    store_.reset();
    auto store = Store::open(scratch_.path());
    ASSERT_TRUE(store) << store.error().text;
    store_ = std::move(*store);
    auto ipam = Ipam::open(
        *store_, {.rest = std::chrono::milliseconds(1000), .now = [this] { return now_; }});
    ASSERT_TRUE(ipam) << ipam.error().text;
    ipam_ = std::move(*ipam);
  }

  uint64_t attach(const std::string& container) {
    const auto id =
        store_->add_attachment({.network = "net", .container_id = container, .ifname = "eth0"});
    EXPECT_TRUE(id) << id.error().text;
    return id ? *id : 0;
  }

  // The addresses, or "error <code>: <text>".
  std::string allocate(uint64_t attachment, const RangeSets& sets,
                       const std::vector<std::string>& requested = {},
                       const std::string& network = "net") {
    std::vector<IpAddress> wanted;
    for (const std::string& text : requested) wanted.push_back(*parse_address(text));
    const auto leases = ipam_->allocate(attachment, network, sets, wanted);
    if (leases) return text_of(*leases);
    return "error " + std::string(weir::to_string(leases.error().code)) + ": " +
           leases.error().text;
  }
  std::string add(const std::string& container, const RangeSets& sets,
                  const std::vector<std::string>& requested = {}) {
    return allocate(attach(container), sets, requested);
  }
  void remove(const std::string& container) {
    const auto found = store_->find_attachment("net", container, "eth0");
    ASSERT_TRUE(found && *found) << container;
    const Status status = ipam_->remove((*found)->id);
    EXPECT_TRUE(status) << status.error().text;
  }

  ScratchDirectory scratch_;
  UnixMillis now_ = 1'000'000;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Ipam> ipam_;
};

}  // namespace weir::control
