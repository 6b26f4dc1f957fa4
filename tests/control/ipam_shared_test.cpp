// Sharing a network with host-local: its directory, and allocation around others' addresses.
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fstream>

#include "control/ipam/host_local_dir.h"
#include "tests/control/ipam_fixture.h"

namespace weir::control {
namespace {

using testing::HasSubstr;
using Missing = HostLocalDir::Missing;

class IpamSharedTest : public IpamTest {
 protected:
  std::string directory() const { return scratch_.file("networks/net"); }
  std::string file(const std::string& name) const { return directory() + "/" + name; }

  HostLocalDir open() {
    auto shared = HostLocalDir::open(directory(), Missing::make);
    EXPECT_TRUE(shared) << shared.error().text;
    return *std::move(shared);
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(file(name), std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream stream(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  bool exists(const std::string& name) const {
    struct stat info {};
    return stat(file(name).c_str(), &info) == 0;
  }

  std::string add_around(const std::string& container, const Elsewhere& elsewhere) {
    const auto leases = ipam_->allocate(attach(container), "net", sets_, {}, elsewhere);
    return leases ? text_of(*leases) : leases.error().text;
  }

  const RangeSets sets_ = ranges_of({"10.0.0.0/29"});  // .1 gateway, .2 to .6
};

TEST_F(IpamSharedTest, WritesWhatHostLocalWrites) {
  const Lease four{.address = *parse_address("10.0.0.2")};
  const Lease six{.address = *parse_address("fd00::2")};
  HostLocalDir shared = open();
  ASSERT_TRUE(shared.reserve({four, six}, "pod", "eth0"));
  EXPECT_EQ(read("10.0.0.2"), "pod\r\neth0");
  EXPECT_EQ(read("fd00::2"), "pod\r\neth0");
  EXPECT_EQ(read("last_reserved_ip.0"), "10.0.0.2");
  EXPECT_EQ(read("last_reserved_ip.1"), "fd00::2");
  const auto entries = shared.entries();
  ASSERT_TRUE(entries);
  EXPECT_EQ(entries->size(), 2U);
  EXPECT_GT(entries->front().since, 1'700'000'000'000);
}

TEST_F(IpamSharedTest, AnEntryThatIsThereStaysAndNothingElseDoes) {
  HostLocalDir shared = open();
  write("10.0.0.3", "other\r\neth0");
  const Lease first{.address = *parse_address("10.0.0.2")};
  const Lease second{.address = *parse_address("10.0.0.3")};
  const Status reserved = shared.reserve({first, second}, "pod", "eth0");
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error().code, ErrorCode::exists);
  EXPECT_FALSE(exists("10.0.0.2"));
  EXPECT_EQ(read("10.0.0.3"), "other\r\neth0");
}

TEST_F(IpamSharedTest, ReleasesByIdAndInterfaceOldEntriesByIdAlone) {
  HostLocalDir shared = open();
  write("10.0.0.2", "pod\r\neth0");
  write("10.0.0.3", "pod\r\neth1");
  write("10.0.0.4", "pod\n");  // CNI plugins before 0.8
  write("10.0.0.5", "other\r\neth0");
  write("10.0.0.6", "");
  write("notes", "pod\r\neth0");
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(shared.release("pod", "eth0"));
  EXPECT_FALSE(exists("10.0.0.2"));
  EXPECT_TRUE(exists("10.0.0.3"));
  EXPECT_FALSE(exists("10.0.0.4"));
  EXPECT_TRUE(exists("10.0.0.5"));
  EXPECT_TRUE(exists("10.0.0.6"));
  EXPECT_TRUE(exists("notes"));
}

TEST_F(IpamSharedTest, WaitsForTheLockButNotForEver) {
  auto holder = std::make_unique<HostLocalDir>(open());
  const auto refused =
      HostLocalDir::open(directory(), Missing::make, std::chrono::milliseconds(20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_THAT(refused.error().text, HasSubstr("/lock"));
  holder.reset();
  EXPECT_TRUE(HostLocalDir::open(directory(), Missing::make, std::chrono::milliseconds(20)));
}

TEST_F(IpamSharedTest, DoesNotMakeADirectoryToFreeWhatIsNotThere) {
  const auto shared = HostLocalDir::open(directory(), Missing::fail);
  ASSERT_FALSE(shared);
  EXPECT_EQ(shared.error().code, ErrorCode::not_found);
  EXPECT_FALSE(exists(""));
}

TEST_F(IpamSharedTest, OthersAddressesAreNotGivenOutAndNotForgotten) {
  HostLocalDir shared = open();
  write("10.0.0.2", "old\r\neth0");
  write("10.0.0.4", "old\r\neth1");
  write("last_reserved_ip.0", "10.0.0.2");
  const auto elsewhere = shared.elsewhere(1);
  ASSERT_TRUE(elsewhere);
  EXPECT_EQ(add_around("a", *elsewhere), "10.0.0.3");
  EXPECT_EQ(add_around("b", {.taken = elsewhere->taken, .last = {}}), "10.0.0.5");
  EXPECT_EQ(add_around("c", {.taken = elsewhere->taken, .last = {}}), "10.0.0.6");
  EXPECT_THAT(add_around("d", {.taken = elsewhere->taken, .last = {}}), HasSubstr("no address"));
  EXPECT_FALSE(*ipam_->can_allocate(sets_, *elsewhere));
  // They were only borrowed: once the others are gone the addresses are there.
  EXPECT_TRUE(*ipam_->can_allocate(sets_));
  EXPECT_EQ(add_around("e", {}), "10.0.0.2");
}

TEST_F(IpamSharedTest, WhatRestsHereAndIsTakenThereRestsOnAfterwards) {
  EXPECT_EQ(add_around("a", {}), "10.0.0.2");
  remove("a");
  EXPECT_EQ(ipam_->usage(sets_[0])->resting, 1U);
  EXPECT_EQ(add_around("b", {.taken = {*parse_address("10.0.0.2")}, .last = {}}), "10.0.0.3");
  EXPECT_EQ(ipam_->usage(sets_[0])->resting, 1U);
}

TEST_F(IpamSharedTest, ARequestedAddressOfOthersIsNamedAsTheirs) {
  const auto leases = ipam_->allocate(attach("a"), "net", sets_, {*parse_address("10.0.0.2")},
                                      {.taken = {*parse_address("10.0.0.2")}, .last = {}});
  ASSERT_FALSE(leases);
  EXPECT_EQ(leases.error().code, ErrorCode::exists);
  EXPECT_THAT(leases.error().text, HasSubstr("host-local"));
}

}  // namespace
}  // namespace weir::control
