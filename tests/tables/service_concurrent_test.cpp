// Workers look up services while the main thread changes them without pause.
//
// WEIR_TEST_CHANGES: see workers.h.
#include <random>

#include "tests/tables/service_fixture.h"
#include "tests/tables/workers.h"

namespace weir::dataplane {
namespace {

constexpr uint32_t kServices = 200;  // few buckets of the index hold two
constexpr uint32_t kEndpoints = 6;

class ServiceConcurrentTest : public ServiceFixture {
 protected:
  ServiceConcurrentTest() {
    for (uint32_t i = 0; i < kServices; ++i) change(i, 1 + i);
  }
  static bool stays(uint32_t service) { return service % 2 == 0; }
  static api::FrontendKey key_of(uint32_t service) {
    return {.address = ip4_address(0x0a600000 + service), .port = 80, .protocol = kProtoTcp};
  }
  // A backend's address tells its service, so that a mixed-up answer shows.
  static api::Backend backend_of(uint32_t service, uint32_t endpoint, uint32_t flags) {
    return {.group = service + 1,
            .address = ip4_address(0x0a000000 + service * 256 + endpoint + 1),
            .port = 8080,
            .flags = flags};
  }
  // The service's list becomes a run of its endpoints; it is never empty.
  void change(uint32_t service, uint64_t random) {
    const auto first = static_cast<uint32_t>(random % kEndpoints);
    const auto count = static_cast<uint32_t>(1 + random / kEndpoints % 3);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t flags = (i == 0 ? api::kListFirst : 0) | (i + 1 == count ? api::kListLast : 0);
      set(backend_of(service, (first + i) % kEndpoints, flags));
    }
    set(api::Frontend{.key = key_of(service),
                      .kind = api::FrontendKind::cluster_ip,
                      .flags = random % 2 == 0 ? api::kFrontendMasquerade : 0,
                      .group_inside = service + 1,
                      .group_outside = service + 1});
  }
  std::string look(uint32_t service, uint64_t hash) const {
    const api::FrontendKey key = key_of(service);
    const FrontendView* view = table_.find({.destination = key.address.bytes,
                                            .destination_port = __builtin_bswap16(key.port),
                                            .protocol = key.protocol,
                                            .family = Family::ip4});
    if (view == nullptr) return stays(service) ? "a service that stays was not found" : "";
    const BackendId id = view->inside->pick(hash);
    if (id == kNoBackend) return "nobody to pick";
    const Ip6Bytes& at = pool_.address(id).address;
    if (at[1] != 0 || at[2] != service || at[3] == 0 || at[3] > kEndpoints)
      return "another service's backend";
    return "";
  }
};

TEST_F(ServiceConcurrentTest, NoWorkerMissesAServiceOrGetsAnothersBackend) {
  std::array<std::mt19937_64, kWorkers> random;
  for (uint32_t worker = 0; worker < kWorkers; ++worker) random[worker].seed(worker + 1);
  std::mt19937_64 dice(9);
  Workers workers(rcu_, [&](uint32_t worker) -> std::string {
    const uint64_t number = random[worker]();
    std::string fault = look(static_cast<uint32_t>(number % kServices), number);
    if (fault.empty()) fault = look(static_cast<uint32_t>(number >> 32) % kServices, number);
    return fault;
  });
  workers.change([&](uint64_t) {
    const auto service = static_cast<uint32_t>(dice() % kServices);
    if (stays(service) || dice() % 2 == 0) return change(service, dice());
    ASSERT_TRUE(table_.erase_frontend(key_of(service)));
    ASSERT_TRUE(table_.erase_group(service + 1));
  });
  EXPECT_EQ(workers.failure(), "");
  for (uint32_t service = 0; service < kServices; ++service) {
    ASSERT_TRUE(table_.erase_frontend(key_of(service)));
    ASSERT_TRUE(table_.erase_group(service + 1));
  }
  rcu_.reclaim();
  EXPECT_EQ(pool_.in_use(), 0U);
  EXPECT_TRUE(routes_.there.empty());
}

}  // namespace
}  // namespace weir::dataplane
