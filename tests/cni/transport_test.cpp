// The frame, the request's encoding and the spool.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cni/frame.h"
#include "cni/request.h"
#include "cni/spool.h"

namespace weir::cni {
namespace {

TEST(Frame, LengthSurvivesTheHeader) {
  for (const uint32_t length : {0u, 1u, 65536u, kMaxFrameBody}) {
    const auto decoded =
        decode_frame_header(encode_frame_header(FrameKind::request, length), FrameKind::request);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, length);
  }
}

TEST(Frame, BytesAreAsDocumented) {
  const FrameHeader expected{'W', 'E', 'I', 'R', 1, 0, 2, 0, 0x04, 0x03, 0x02, 0x00};
  EXPECT_EQ(encode_frame_header(FrameKind::response, 0x00020304), expected);
}

TEST(Frame, RefusesForeignHeaders) {
  const FrameHeader good = encode_frame_header(FrameKind::request, 5);
  const auto code = [](const FrameHeader& header) {
    const auto decoded = decode_frame_header(header, FrameKind::request);
    return decoded ? ErrorCode::ok : decoded.error().code;
  };
  FrameHeader magic = good;
  magic[0] = 'X';
  EXPECT_EQ(code(magic), ErrorCode::invalid_argument);
  FrameHeader version = good;
  version[4] = 2;
  EXPECT_EQ(code(version), ErrorCode::version);
  EXPECT_EQ(code(encode_frame_header(FrameKind::response, 5)), ErrorCode::invalid_argument);
  FrameHeader length = good;
  length[11] = 0x7f;
  EXPECT_EQ(code(length), ErrorCode::limit);
}

Request delete_request(const std::string& id) {
  Request request;
  request.environment.command = Command::del;
  request.environment.container_id = id;
  request.environment.netns = "/run/netns/pod";
  request.environment.ifname = "eth0";
  request.environment.args = "IgnoreUnknown=1;FOO=bar";
  request.environment.path = "/opt/cni/bin";
  request.config = R"({"name":"net"})";
  return request;
}

TEST(Request, SurvivesItsEncoding) {
  const auto request = parse_request(Command::del, request_params(delete_request("c1")));
  ASSERT_TRUE(request) << request.error().msg;
  EXPECT_EQ(request_params(*request), request_params(delete_request("c1")));
  EXPECT_EQ(request->environment.arguments.get("FOO"), "bar");
}

TEST(Request, IsCheckedAgainByTheReceiver) {
  Json params = request_params(delete_request("c1"));
  params["containerId"] = "../x";
  EXPECT_EQ(parse_request(Command::del, params).error().code, Code::invalid_environment);
  params["containerId"] = 5;
  EXPECT_EQ(parse_request(Command::del, params).error().code, Code::decoding_failure);
  EXPECT_EQ(parse_request(Command::del, Json("x")).error().code, Code::decoding_failure);
  EXPECT_EQ(parse_request(Command::add, Json::object()).error().code, Code::invalid_environment);
}

TEST(Request, MethodNamesGoBothWays) {
  EXPECT_EQ(method_name(Command::add), "cni.add");
  EXPECT_EQ(parse_method("cni.status"), Command::status);
  EXPECT_FALSE(parse_method("cni.ADD"));
  EXPECT_FALSE(parse_method("pod.list"));
}

struct SpoolTest : testing::Test {
  SpoolTest() {
    char name[] = "/tmp/weir-spool-test-XXXXXX";
    root = mkdtemp(name);
    directory = root / "state" / "spool";
  }
  ~SpoolTest() override { std::filesystem::remove_all(root); }

  std::filesystem::path root;
  std::filesystem::path directory;
};

TEST_F(SpoolTest, KeepsOneEntryAnAttachment) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(write_spool(directory, "net", delete_request("c1")));
    ASSERT_TRUE(write_spool(directory, "other", delete_request("c1")));
    ASSERT_TRUE(write_spool(directory, "net", delete_request("c2")));
  }
  const auto entries = read_spool(directory);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  for (const SpoolEntry& entry : *entries) {
    ASSERT_TRUE(entry.request) << entry.request.error().msg;
    EXPECT_EQ(entry.request->config, delete_request("c1").config);
    EXPECT_TRUE(remove_spool(directory, entry.file));
    EXPECT_TRUE(remove_spool(directory, entry.file));
  }
  EXPECT_TRUE(read_spool(directory)->empty());
}

TEST_F(SpoolTest, EntriesAreForTheOwnerOnly) {
  ASSERT_TRUE(write_spool(directory, "net", delete_request("c1")));
  struct stat info {};
  ASSERT_EQ(stat(directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  const std::string file = directory / read_spool(directory)->front().file;
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(SpoolTest, AMissingDirectoryIsEmpty) {
  const auto entries = read_spool(directory);
  ASSERT_TRUE(entries);
  EXPECT_TRUE(entries->empty());
}

TEST_F(SpoolTest, UnreadableEntriesAreReportedNotLost) {
  ASSERT_TRUE(write_spool(directory, "net", delete_request("c1")));
  std::ofstream(directory / "broken.json") << R"({"containerId": "c2", )";
  std::ofstream(directory / "foreign.txt") << "x";
  ASSERT_EQ(mkfifo((directory / "fifo.json").c_str(), 0600), 0);
  ASSERT_EQ(symlink("/etc/passwd", (directory / "link.json").c_str()), 0);
  const auto entries = read_spool(directory);
  ASSERT_TRUE(entries);
  size_t good = 0;
  for (const SpoolEntry& entry : *entries) good += entry.request ? 1 : 0;
  EXPECT_EQ(entries->size(), 4u);
  EXPECT_EQ(good, 1u);
}

TEST_F(SpoolTest, OnlyOldTemporaryFilesAreSweptAway) {
  ASSERT_TRUE(write_spool(directory, "net", delete_request("c1")));
  const auto fresh = directory / "a.json.1.tmp";
  const auto old = directory / "b.json.1.tmp";
  std::ofstream(fresh) << "x";
  std::ofstream(old) << "x";
  std::filesystem::last_write_time(
      old, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(read_spool(directory)->size(), 1u);
  EXPECT_TRUE(std::filesystem::exists(fresh));
  EXPECT_FALSE(std::filesystem::exists(old));
}

TEST_F(SpoolTest, AFailureLeavesNothing) {
  std::ofstream(root / "state") << "a file in the way";
  EXPECT_FALSE(write_spool(directory, "net", delete_request("c1")));
}

}  // namespace
}  // namespace weir::cni
