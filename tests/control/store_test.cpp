// The store: what goes in comes out, also after a restart, and damage is put aside.
#include "control/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "control/store/schema.h"
#include "tests/control/store_scratch.h"

namespace weir::control {
namespace {

using testing::HasSubstr;

class StoreTest : public testing::Test {
 protected:
  void open() {
    store_.reset();
    auto store = Store::open(directory());
    ASSERT_TRUE(store) << store.error().text;
    store_ = std::move(*store);
  }
  std::string directory() const { return scratch_.file("state"); }
  std::string file() const { return directory() + "/weir.db"; }

  // Runs SQL on the closed file, behind the store's back.
  void tamper(const char* sql) {
    store_.reset();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &raw), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
    sqlite3_close(raw);
  }

  void expect_recovered() {
    open();
    ASSERT_TRUE(store_);
    EXPECT_TRUE(store_->recovered());
    EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(store_->quarantined())))
        << store_->quarantined();
    EXPECT_EQ(store_->attachments()->size(), 0U);
    const auto id = store_->add_attachment(full_attachment());
    ASSERT_TRUE(id);
    EXPECT_GT(*id, 1'000'000'000'000U) << "ids of the lost store must not come back";
  }

  static Attachment full_attachment() {
    return {.network = "net",
            .container_id = "abc",
            .ifname = "eth0",
            .netns = "/run/netns/x",
            .kind = api::PortKind::memif,
            .mac = *parse_mac("02:00:00:00:00:07"),
            .mtu = 9000,
            .config = std::string("{\"name\":\"n\\u0000\"}") + '\0' + "tail",
            .args = "IgnoreUnknown=1",
            .cni_version = "1.1.0",
            .result = "{}",
            .pod_name = "web",
            .pod_namespace = "shop",
            .state = AttachmentState::ready,
            .environment = "[\"CNI_PATH=/opt/cni/bin\"]"};
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, KeepsAttachmentsOverARestart) {
  open();
  const auto id = store_->add_attachment(full_attachment());
  ASSERT_TRUE(id);
  open();
  const auto found = store_->find_attachment("net", "abc", "eth0");
  ASSERT_TRUE(found && *found);
  const Attachment& a = **found;
  const Attachment b = full_attachment();
  EXPECT_EQ(a.id, *id);
  EXPECT_EQ(a.netns, b.netns);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.mac, b.mac);
  EXPECT_EQ(a.mtu, b.mtu);
  EXPECT_EQ(a.config, b.config);
  EXPECT_EQ(a.args + a.cni_version + a.result, b.args + b.cni_version + b.result);
  EXPECT_EQ(a.pod_namespace + a.pod_name, "shopweb");
  EXPECT_EQ(a.state, AttachmentState::ready);
  EXPECT_EQ(a.environment, b.environment);
  EXPECT_GT(a.created, 0);
  EXPECT_FALSE(store_->recovered());
  EXPECT_FALSE(*store_->find_attachment("net", "abc", "eth1"));
  EXPECT_FALSE(*store_->find_attachment("other", "abc", "eth0"));
}

TEST_F(StoreTest, AnAttachmentIsUniqueAndItsIdNeverComesBack) {
  open();
  const auto first = store_->add_attachment(full_attachment());
  const auto second = store_->add_attachment(full_attachment());
  ASSERT_TRUE(first);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::exists);
  EXPECT_THAT(second.error().text, HasSubstr("abc/eth0 of network net"));
  ASSERT_TRUE(store_->delete_attachment(*first));
  EXPECT_TRUE(store_->delete_attachment(*first));
  open();
  const auto third = store_->add_attachment(full_attachment());
  ASSERT_TRUE(third);
  EXPECT_GT(*third, *first);
}

TEST_F(StoreTest, AnAttachmentCanBeAdoptedWithItsId) {
  open();
  Attachment attachment = full_attachment();
  attachment.id = uint64_t{1} << 40;
  EXPECT_EQ(*store_->add_attachment(attachment), uint64_t{1} << 40);
  attachment.container_id = "other";
  EXPECT_EQ(store_->add_attachment(attachment).error().code, ErrorCode::exists);
  attachment.id = 0;
  EXPECT_EQ(*store_->add_attachment(attachment), (uint64_t{1} << 40) + 1);
}

TEST_F(StoreTest, UpdatesByIdAndSaysWhatIsMissing) {
  open();
  Attachment attachment = full_attachment();
  EXPECT_EQ(store_->update_attachment(attachment).error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->set_attachment_state(5, AttachmentState::ready).error().code,
            ErrorCode::not_found);
  attachment.id = *store_->add_attachment(attachment);
  attachment.mtu = 1400;
  ASSERT_TRUE(store_->update_attachment(attachment));
  ASSERT_TRUE(store_->set_attachment_state(attachment.id, AttachmentState::deleting));
  const auto found = store_->find_attachment(attachment.id);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->mtu, 1400);
  EXPECT_EQ((*found)->state, AttachmentState::deleting);
}

TEST_F(StoreTest, LeasesBelongToAttachments) {
  open();
  const uint64_t id = *store_->add_attachment(full_attachment());
  const Lease lease{.address = *parse_address("fd00::7"),
                    .network = "net",
                    .attachment = id,
                    .length = 64,
                    .gateway = *parse_address("fd00::1"),
                    .source = LeaseSource::delegated,
                    .position = 3,
                    .reserved_at = 17};
  ASSERT_TRUE(store_->put_lease(lease));
  EXPECT_EQ(store_->put_lease(lease).error().code, ErrorCode::exists);
  EXPECT_EQ(store_->delete_attachment(id).error().code, ErrorCode::exists);
  open();
  const auto leases = store_->leases_of(id);
  ASSERT_TRUE(leases);
  ASSERT_EQ(leases->size(), 1U);
  const Lease& read = leases->front();
  EXPECT_EQ(read.address, lease.address);
  EXPECT_EQ(read.gateway, lease.gateway);
  EXPECT_EQ(read.length, 64);
  EXPECT_EQ(read.source, LeaseSource::delegated);
  EXPECT_EQ(read.position, 3U);
  EXPECT_EQ(read.reserved_at, 17);
  EXPECT_EQ(read.released_at, 0);
  ASSERT_TRUE(store_->rest_lease(lease.address, 99));
  EXPECT_EQ(store_->leases_of(id)->size(), 0U);
  EXPECT_EQ(store_->leases()->front().released_at, 99);
  EXPECT_TRUE(store_->delete_attachment(id));
}

TEST_F(StoreTest, KeepsRoutes) {
  open();
  const StoredRoute to_gateway{.prefix = *parse_prefix("192.168.0.0/16"),
                               .kind = api::RouteKind::gateway,
                               .gateway = *parse_address("10.244.0.9")};
  const StoredRoute blackhole{.prefix = *parse_prefix("fd01::/16"),
                              .kind = api::RouteKind::blackhole};
  ASSERT_TRUE(store_->set_route(blackhole));
  ASSERT_TRUE(store_->set_route(
      {.prefix = to_gateway.prefix, .kind = api::RouteKind::port, .port_key = 8}));
  ASSERT_TRUE(store_->set_route(to_gateway));
  open();
  auto routes = store_->routes();
  ASSERT_TRUE(routes);
  ASSERT_EQ(routes->size(), 2U);
  EXPECT_EQ((*routes)[0].prefix, to_gateway.prefix);
  EXPECT_EQ((*routes)[0].kind, api::RouteKind::gateway);
  EXPECT_EQ((*routes)[0].gateway, to_gateway.gateway);
  EXPECT_EQ((*routes)[0].port_key, 0U);
  ASSERT_TRUE(store_->delete_route(to_gateway.prefix));
  EXPECT_TRUE(store_->delete_route(to_gateway.prefix));
  EXPECT_EQ(store_->routes()->size(), 1U);
}

TEST_F(StoreTest, KnowsItsNodeAndCountsGenerations) {
  open();
  const std::string uuid = *store_->node_uuid();
  EXPECT_EQ(uuid.size(), 36U);
  EXPECT_EQ(*store_->boot_id(), "");
  ASSERT_TRUE(store_->set_boot_id("boot-1"));
  const uint64_t first = *store_->next_generation();
  open();
  EXPECT_EQ(*store_->node_uuid(), uuid);
  EXPECT_EQ(*store_->boot_id(), "boot-1");
  EXPECT_EQ(*store_->next_generation(), first + 1);
}

TEST_F(StoreTest, ATransactionIsWholeOrAbsent) {
  open();
  {
    auto outer = store_->begin();
    ASSERT_TRUE(outer);
    ASSERT_TRUE(store_->set_boot_id("outer"));
    {
      auto inner = store_->begin();
      ASSERT_TRUE(inner);
      ASSERT_TRUE(store_->set_boot_id("inner"));
    }
    EXPECT_EQ(*store_->boot_id(), "outer");
    ASSERT_TRUE(outer->commit());
  }
  EXPECT_FALSE(store_->in_transaction());
  {
    auto lost = store_->begin();
    ASSERT_TRUE(lost);
    ASSERT_TRUE(store_->set_boot_id("lost"));
  }
  EXPECT_EQ(*store_->boot_id(), "outer");
  EXPECT_EQ(store_->rollbacks(), 2U);
}

TEST_F(StoreTest, IsPrivateAndUsedByOneProcess) {
  open();
  struct stat directory_stat {};
  struct stat file_stat {};
  ASSERT_EQ(stat(directory().c_str(), &directory_stat), 0);
  ASSERT_EQ(stat(file().c_str(), &file_stat), 0);
  EXPECT_EQ(directory_stat.st_mode & 0777U, 0700U);
  EXPECT_EQ(file_stat.st_mode & 0777U, 0600U);
  const auto second = Store::open(directory());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_THAT(second.error().text, HasSubstr("stop the other weir-control"));
  EXPECT_TRUE(store_->set_boot_id("still works"));
}

TEST_F(StoreTest, IsWriteAheadLoggedAndSynchronous) {
  open();
  ASSERT_TRUE(store_->set_boot_id("x"));
  EXPECT_TRUE(std::filesystem::exists(file() + "-wal"));
}

TEST_F(StoreTest, AFileOfNoiseIsPutAside) {
  open();
  store_.reset();
  std::ofstream(file(), std::ios::binary) << std::string(50000, 'x');
  expect_recovered();
  const std::string name = std::filesystem::path(store_->quarantined()).filename();
  EXPECT_THAT(name, testing::StartsWith("weir.db.damaged-2"));
  EXPECT_EQ(scratch_.read("state/" + name).size(), 50000U) << "the evidence is kept";
}

TEST_F(StoreTest, AnEmptiedFileIsPutAside) {
  open();
  store_.reset();
  std::filesystem::resize_file(file(), 0);
  expect_recovered();
}

TEST_F(StoreTest, ACutFileIsPutAside) {
  open();
  for (int i = 0; i < 200; ++i) {
    Attachment attachment = full_attachment();
    attachment.container_id += std::to_string(i);
    ASSERT_TRUE(store_->add_attachment(attachment));
  }
  store_.reset();
  std::filesystem::resize_file(file(), std::filesystem::file_size(file()) / 2);
  expect_recovered();
}

TEST_F(StoreTest, AnOverwrittenPageIsPutAside) {
  open();
  ASSERT_TRUE(store_->add_attachment(full_attachment()));
  store_.reset();
  {
    std::fstream stream(file(), std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(4096);
    stream << std::string(4096, '\x5a');
  }
  expect_recovered();
}

TEST_F(StoreTest, ADirectoryInPlaceOfTheFileIsPutAside) {
  std::filesystem::create_directories(file());
  expect_recovered();
}

TEST_F(StoreTest, ForeignOrMissingTablesArePutAside) {
  for (const char* sql : {"PRAGMA application_id = 5", "PRAGMA user_version = 0",
                          "DROP TABLE leases", "ALTER TABLE attachments DROP COLUMN args"}) {
    SCOPED_TRACE(sql);
    std::filesystem::remove_all(directory());
    store_.reset();
    open();
    tamper(sql);
    expect_recovered();
  }
}

TEST_F(StoreTest, ValuesThatMakeNoSenseArePutAside) {
  for (const char* sql :
       {"UPDATE attachments SET port_kind = 77", "UPDATE attachments SET state = 0",
        "UPDATE attachments SET mac = x'00'",
        "INSERT INTO leases VALUES (x'0102', 'n', 1, 24, x'', 1, 0, 0, NULL)",
        "INSERT INTO leases VALUES (x'01020304', 'n', 1, 240, x'', 1, 0, 0, NULL)",
        "INSERT INTO routes VALUES ('10.0.0.0/99', 1, 0, x'', 0)",
        "INSERT INTO cursors VALUES ('n', 'p', x'010203')"}) {
    SCOPED_TRACE(sql);
    store_.reset();
    std::filesystem::remove_all(directory());
    open();
    ASSERT_TRUE(store_->add_attachment(full_attachment()));
    tamper(sql);
    expect_recovered();
  }
}

TEST_F(StoreTest, RecoveryIsRememberedUntilItIsFinished) {
  std::filesystem::create_directories(file());
  open();
  const std::string quarantined = store_->quarantined();
  open();
  EXPECT_TRUE(store_->recovered());
  EXPECT_EQ(store_->quarantined(), quarantined);
  ASSERT_TRUE(store_->finish_recovery());
  EXPECT_FALSE(store_->recovered());
  open();
  EXPECT_FALSE(store_->recovered());
}

TEST_F(StoreTest, GenerationsGrowOverALostStore) {
  open();
  const uint64_t before = *store_->next_generation();
  store_.reset();
  std::filesystem::remove_all(directory());
  open();
  EXPECT_GT(*store_->next_generation(), before);
}

TEST_F(StoreTest, AStoreOfANewerWeirIsLeftAlone) {
  open();
  tamper("PRAGMA user_version = 999");
  const auto store = Store::open(directory());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::version);
  EXPECT_THAT(store.error().text, HasSubstr("schema 999"));
  tamper(("PRAGMA user_version = " + std::to_string(schema_version())).c_str());
  open();
  EXPECT_FALSE(store_->recovered());
}

TEST_F(StoreTest, AStoreOfAnOlderWeirIsBroughtUpToDate) {
  open();
  ASSERT_TRUE(store_->add_attachment(full_attachment()));
  tamper(
      "DROP TABLE objects; ALTER TABLE attachments DROP COLUMN environment; PRAGMA user_version = 1");
  open();
  EXPECT_FALSE(store_->recovered());
  const auto rows = store_->attachments();
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->front().container_id, "abc");
  EXPECT_EQ(rows->front().environment, "");
}

TEST_F(StoreTest, AFileInPlaceOfTheDirectoryIsOneClearSentence) {
  scratch_.write("state", "");
  const auto store = Store::open(directory());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::io);
  EXPECT_THAT(store.error().text, HasSubstr("name another with WEIR_STATE_DIR"));
}

}  // namespace
}  // namespace weir::control
