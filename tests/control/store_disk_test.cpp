// A disk that is full or read-only: clear errors, nothing half done, and removals that
// are made up for later. Uses a small tmpfs in a mount namespace of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>

#include "tests/control/ipam_fixture.h"

namespace weir::control {
namespace {

using testing::HasSubstr;

class StoreDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("weir-test", scratch_.path().c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0) {
      GTEST_SKIP() << "needs root to mount a tmpfs: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    ipam_.reset();
    store_.reset();
    if (mounted_) umount2(scratch_.path().c_str(), MNT_DETACH);
  }

  void open() {
    auto store = Store::open(scratch_.path());
    ASSERT_TRUE(store) << store.error().text;
    store_ = std::move(*store);
    auto ipam = Ipam::open(*store_);
    ASSERT_TRUE(ipam) << ipam.error().text;
    ipam_ = std::move(*ipam);
  }
  // Takes all space that is left.
  void fill() {
    std::ofstream stream(scratch_.file("filler"), std::ios::binary);
    const std::string block(4096, 'x');
    while (stream << block << std::flush) {
    }
  }
  void make_room() { std::filesystem::remove(scratch_.file("filler")); }

  Result<std::vector<Lease>> add(const std::string& container) {
    auto transaction = store_->begin();
    if (!transaction) return transaction.error();
    const auto id = store_->add_attachment({.network = "net",
                                            .container_id = container,
                                            .ifname = "eth0",
                                            .config = std::string(20000, 'c')});
    if (!id) return id.error();
    auto leases = ipam_->allocate(*id, "net", sets_);
    if (!leases) return leases;
    if (Status s = transaction->commit(); !s) return s.error();
    return leases;
  }

  ScratchDirectory scratch_;
  bool mounted_ = false;
  const RangeSets sets_ = ranges_of({"10.0.0.0/24", "fd00::/64"});
  std::unique_ptr<Store> store_;
  std::unique_ptr<Ipam> ipam_;
};

TEST_F(StoreDiskTest, AFullDiskRefusesAddsAndDefersRemovals) {
  open();
  const auto first = add("a");
  ASSERT_TRUE(first) << first.error().text;
  const uint64_t id = first->front().attachment;
  fill();
  const auto refused = add("b");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::io);
  EXPECT_THAT(refused.error().text, HasSubstr("free some space"));
  EXPECT_FALSE(store_->in_transaction());

  const Status removed = ipam_->remove(id);
  ASSERT_FALSE(removed) << "the disk has room after all";
  EXPECT_EQ(ipam_->pending_removals(), 1U);
  ASSERT_FALSE(ipam_->remove(id));
  EXPECT_EQ(ipam_->pending_removals(), 1U);
  EXPECT_EQ(ipam_->usage(sets_[0])->taken, 1U);

  make_room();
  const auto second = add("c");
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_EQ(text_of(*second), "10.0.0.3 fd00::3");
  EXPECT_FALSE(*store_->find_attachment(id)) << "the removal was made up for";
  EXPECT_EQ(store_->attachments()->size(), 1U);
  EXPECT_TRUE(ipam_->retry());
  EXPECT_EQ(ipam_->pending_removals(), 0U);
}

TEST_F(StoreDiskTest, AFullDiskAtTheStartIsOneClearSentence) {
  fill();
  const auto store = Store::open(scratch_.path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::io);
  EXPECT_THAT(store.error().text, HasSubstr("space"));
}

TEST_F(StoreDiskTest, AReadOnlyDirectoryIsOneClearSentence) {
  ASSERT_EQ(mount(nullptr, scratch_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const auto store = Store::open(scratch_.path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::permission);
  EXPECT_THAT(store.error().text, HasSubstr("make it a writable directory or name another"));
}

TEST_F(StoreDiskTest, AStoreOnAReadOnlyDiskIsNotTakenForDamaged) {
  open();
  ipam_.reset();
  store_.reset();
  ASSERT_EQ(mount(nullptr, scratch_.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  const auto store = Store::open(scratch_.path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::permission);
  EXPECT_THAT(store.error().text, HasSubstr("read-only"));
}

}  // namespace
}  // namespace weir::control
