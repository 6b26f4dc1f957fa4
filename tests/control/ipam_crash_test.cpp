// A process that allocates and removes is killed at random moments. What it had been
// told is in the store afterwards: no lease lost, none twice, at most the one operation
// that was under way is unknown.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/control/ipam_fixture.h"

namespace weir::control {
namespace {

// What the child reports after each operation; smaller than PIPE_BUF, so written whole.
struct Report {
  char operation = 0;  // 'a' allocated, 'r' removed
  uint64_t attachment = 0;
  std::array<IpAddress, 2> addresses{};
};

// Small, so that addresses wrap round and rests are cut short.
RangeSets ranges() { return ranges_of({"10.0.0.0/27", "fd00::/123"}); }

[[noreturn]] void work(const std::string& directory, int pipe_end, uint32_t seed) {
  auto store = Store::open(directory);
  if (!store) _exit(3);
  auto ipam = Ipam::open(**store);
  if (!ipam) _exit(4);
  std::mt19937 random(seed);
  std::vector<uint64_t> mine;
  const auto present = (*store)->attachments();
  if (!present) _exit(10);
  for (const Attachment& attachment : *present) mine.push_back(attachment.id);
  for (uint64_t i = 0;; ++i) {
    Report report;
    if (mine.size() > 25 || (!mine.empty() && random() % 2 == 0)) {
      const size_t victim = random() % mine.size();
      report = {.operation = 'r', .attachment = mine[victim]};
      if (!(*ipam)->remove(mine[victim])) _exit(5);
      mine.erase(mine.begin() + static_cast<long>(victim));
    } else {
      auto transaction = (*store)->begin();
      if (!transaction) _exit(6);
      const auto id =
          (*store)->add_attachment({.network = "net",
                                    .container_id = std::to_string(seed) + "-" + std::to_string(i),
                                    .ifname = "eth0"});
      if (!id) _exit(7);
      const auto leases = (*ipam)->allocate(*id, "net", ranges());
      if (!leases || !transaction->commit()) _exit(8);
      report = {.operation = 'a',
                .attachment = *id,
                .addresses = {(*leases)[0].address, (*leases)[1].address}};
      mine.push_back(*id);
    }
    if (write(pipe_end, &report, sizeof report) != sizeof report) _exit(9);
  }
}

class IpamCrashTest : public testing::Test {
 protected:
  using Known = std::map<uint64_t, std::set<IpAddress>>;

  static void apply(const Report& report, Known& known) {
    if (report.operation == 'r') {
      known.erase(report.attachment);
    } else {
      known[report.attachment] = {report.addresses.begin(), report.addresses.end()};
    }
  }

  // Lets a child work for `operations` reports, kills it, applies all it reported.
  void run_and_kill(uint32_t seed, unsigned operations) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      work(scratch_.path(), ends[1], seed);
    }
    close(ends[1]);
    Report report;
    unsigned seen = 0;
    while (read(ends[0], &report, sizeof report) == sizeof report) {
      apply(report, known_);
      if (++seen == operations) kill(child, SIGKILL);
    }
    close(ends[0]);
    kill(child, SIGKILL);  // when it stopped by itself there is nothing to kill
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed with " << WEXITSTATUS(status);
  }

  Known stored(Store& store) {
    Known held;
    const auto leases = store.leases();
    EXPECT_TRUE(leases);
    for (const Lease& lease : *leases) {
      if (lease.attachment != 0) held[lease.attachment].insert(lease.address);
    }
    return held;
  }

  ScratchDirectory scratch_;
  Known known_;
};

TEST_F(IpamCrashTest, AKilledProcessLosesAndDoublesNothing) {
  std::mt19937 random(7);
  for (uint32_t round = 1; round <= 25; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_NO_FATAL_FAILURE(run_and_kill(round, 1 + static_cast<unsigned>(random() % 60)));
    auto store = Store::open(scratch_.path());
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_FALSE((*store)->recovered());
    Known now = stored(**store);
    const auto attachments = (*store)->attachments();
    ASSERT_TRUE(attachments);
    EXPECT_EQ(attachments->size(), now.size())
        << "an attachment and its leases come and go together";

    // The one operation that was not reported any more.
    unsigned differences = 0;
    for (const auto& [id, addresses] : known_) {
      if (!now.contains(id)) {
        ++differences;
      } else {
        EXPECT_EQ(now[id], addresses);
      }
    }
    std::set<IpAddress> all;
    for (const auto& [id, addresses] : now) {
      if (!known_.contains(id)) ++differences;
      EXPECT_EQ(addresses.size(), 2U);
      for (const IpAddress& address : addresses) {
        EXPECT_TRUE(all.insert(address).second) << to_string(address);
      }
    }
    EXPECT_LE(differences, 1U);
    known_ = now;
  }
}

}  // namespace
}  // namespace weir::control
