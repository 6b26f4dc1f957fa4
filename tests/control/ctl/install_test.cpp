// weirctl cni install and remove, weirctl plan.
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/control/ctl/run.h"
#include "tests/control/fake_dataplane.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

class CtlInstall : public testing::Test {
 protected:
  CtlInstall() {
    write(program(), "program 1");
    write(conflist(), "list 1");
  }

  fs::path root() const { return directory_.path(); }
  fs::path program() const { return root() / "weir-cni"; }
  fs::path conflist() const { return root() / "10-weir.conflist"; }
  fs::path bin() const { return root() / "opt/cni/bin"; }
  fs::path conf() const { return root() / "etc/cni/net.d"; }
  fs::path installed_program() const { return bin() / "weir-cni"; }
  fs::path installed_list() const { return conf() / "10-weir.conflist"; }

  Ran run(std::vector<std::string> words) {
    words.insert(words.end(), {"--bin-dir", bin(), "--conf-dir", conf(), "--conflist", conflist()});
    if (words[1] == "install") words.insert(words.end(), {"--program", program()});
    return run_ctl(root(), words);
  }
  size_t files(const fs::path& where) const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(where), {}));
  }

  TemporaryDirectory directory_;
};

TEST_F(CtlInstall, PutsBothInPlaceWhateverTheUmask) {
  const mode_t before = umask(0077);
  const Ran ran = run({"cni", "install"});
  umask(before);
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(text_of(installed_program()), "program 1");
  EXPECT_EQ(text_of(installed_list()), "list 1");
  EXPECT_EQ(mode_of(installed_program()), 0755U);
  EXPECT_EQ(mode_of(installed_list()), 0644U);
  EXPECT_EQ(files(bin()), 1U);
  EXPECT_EQ(files(conf()), 1U);
}

TEST_F(CtlInstall, UpdatesTheProgramAndKeepsAnEditedList) {
  ASSERT_EQ(run({"cni", "install"}).exit, 0);
  write(program(), "program 2");
  write(installed_list(), "edited");
  const Ran ran = run({"cni", "install", "-j"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.json()["program"]["state"], "replaced");
  EXPECT_EQ(ran.json()["conflist"]["state"], "kept");
  EXPECT_NE(ran.err.find("--force"), std::string::npos);
  EXPECT_EQ(text_of(installed_program()), "program 2");
  EXPECT_EQ(text_of(installed_list()), "edited");
  ASSERT_EQ(run({"cni", "install", "--force"}).exit, 0);
  EXPECT_EQ(text_of(installed_list()), "list 1");
  EXPECT_EQ(run({"cni", "install", "-j"}).json()["conflist"]["state"], "unchanged");
}

// A runtime's watcher loads what it is told of; a file that grows would be read half.
TEST_F(CtlInstall, AWatcherSeesOneWholeFile) {
  fs::create_directories(conf());
  const api::Fd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(inotify_add_watch(watch.get(), conf().c_str(), IN_ALL_EVENTS), 0);
  ASSERT_EQ(run({"cni", "install"}).exit, 0);
  alignas(inotify_event) std::array<char, 65536> buffer{};
  const ssize_t size = read(watch.get(), buffer.data(), buffer.size());
  std::vector<uint32_t> of_the_list;
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
    const std::string name = event->len > 0 ? event->name : "";
    if (name.ends_with(".conflist")) of_the_list.push_back(event->mask);
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  EXPECT_EQ(of_the_list, std::vector<uint32_t>{IN_MOVED_TO});
}

TEST_F(CtlInstall, RemovesTheListThenTheProgram) {
  ASSERT_EQ(run({"cni", "install"}).exit, 0);
  write(installed_list(), "edited");
  const Ran refused = run({"cni", "remove"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_NE(refused.err.find("--force"), std::string::npos);
  EXPECT_TRUE(fs::exists(installed_program()));
  EXPECT_EQ(run({"cni", "remove", "--force"}).exit, 0);
  EXPECT_EQ(files(bin()) + files(conf()), 0U);
  EXPECT_EQ(run({"cni", "remove"}).exit, 0) << "it is gone already";
}

TEST_F(CtlInstall, WithoutThePluginNothingIsInstalled) {
  fs::remove(program());
  const Ran ran = run({"cni", "install"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find(program()), std::string::npos) << ran.err;
  EXPECT_FALSE(fs::exists(installed_list()));
}

TEST_F(CtlInstall, ADirectoryThatIsAFileIsNamed) {
  fs::create_directories(conf().parent_path());
  write(conf(), "");
  const Ran ran = run({"cni", "install"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_NE(ran.err.find(conf()), std::string::npos) << ran.err;
}

TEST_F(CtlInstall, PlanCountsBuffersAndHugepages) {
  write(root() / "weir.json",
        R"({"dataplane": {"memory_mib": 300}, "network": {"max_pods": 100, "mtu": 9000}})");
  const Ran ran = run_ctl(
      root(), {"plan", "--pods", "110", "--memif", "10", "--config", root() / "weir.json", "-j"});
  ASSERT_EQ(ran.exit, 0) << ran.err;
  const ctl::Json plan = ran.json();
  EXPECT_EQ(plan["hugepages_2m"], 150);
  EXPECT_EQ(plan["memif_buffers"], 10 * 2 * 1024);
  EXPECT_EQ(plan["memif_buffers_per_frame"], 5);  // 9014 bytes in pieces of 2048
  EXPECT_EQ(plan["memif_region_bytes"], 10 * 2 * (64 + 1024 * (16 + 2048)));
  EXPECT_GT(plan["memory_bytes"], plan["memif_region_bytes"]);
  EXPECT_EQ(plan["admitted"], false);
  const Ran text = run_ctl(root(), {"plan", "--pods", "110", "--config", root() / "weir.json"});
  EXPECT_NE(text.out.find("set network.max_pods"), std::string::npos) << text.out;
}

TEST_F(CtlInstall, PlanRefusesMoreMemifPodsThanPods) {
  write(root() / "weir.json", "{}");
  const Ran ran =
      run_ctl(root(), {"plan", "--pods", "1", "--memif", "2", "--config", root() / "weir.json"});
  EXPECT_EQ(ran.exit, 1);
}

}  // namespace
}  // namespace weir::test
