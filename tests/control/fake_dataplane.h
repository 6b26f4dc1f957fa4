// A dataplane that only talks: answers the API on a socket of its own directory from
// fixed records, or with whatever bytes a test wants.
//
// Threads: one server thread; set everything before the first request, read seen()
// any time.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/api/codec.h"
#include "dataplane/api/path.h"
#include "dataplane/api/protocol.h"

namespace weir::test {

// A directory that lives as long as this.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

class FakeDataplane {
 public:
  struct Answer {
    std::vector<std::string> packets;  // sent as they are, one SEQPACKET message each
    bool hang_up = false;              // after the packets
  };
  using Handler = std::function<Answer(const api::Message& request)>;

  FakeDataplane();
  ~FakeDataplane();
  FakeDataplane(const FakeDataplane&) = delete;
  FakeDataplane& operator=(const FakeDataplane&) = delete;

  const std::string& run_dir() const noexcept { return directory_.path(); }
  // Instead of the answer from the records below.
  void on(api::MessageType type, Handler handler) { handlers_[type] = std::move(handler); }
  // The requests of one type so far.
  std::vector<api::Message> seen(api::MessageType type);

  api::Hello hello;
  api::DataplaneStatus status;
  std::vector<api::PortState> ports;
  std::vector<api::Route> routes;
  std::vector<api::WorkerState> workers;
  std::vector<api::DropCounter> drops;
  std::vector<api::ConnectionState> connections;
  api::ConnectionStats connection_stats;
  api::PathTrace path;
  std::vector<std::vector<api::TraceRecord>> traces;  // one for each trace_read after the start

 private:
  void serve();
  void serve_client(int client);
  Answer answer(const api::Message& request);
  Answer answer_list(const api::Message& request);
  Answer answer_trace(const api::Message& request);

  TemporaryDirectory directory_;
  std::map<api::MessageType, Handler> handlers_;
  std::mutex mutex_;
  std::vector<api::Message> seen_;
  size_t trace_reads_ = 0;
  api::Fd listener_;
  api::Fd stop_;
  std::thread thread_;
};

// A packet as it goes over the wire.
std::string to_packet(const api::Message& message);

// The reply to `request` with records, split so that `per_packet` go into one packet.
template <api::Record T>
std::vector<std::string> reply_packets(const api::Message& request, const std::vector<T>& records,
                                       size_t per_packet = 100) {
  std::vector<std::string> packets;
  size_t next = 0;
  do {
    api::Message reply(request.header.type);
    reply.header.sequence = request.header.sequence;
    reply.header.flags = api::kFlagReply;
    for (size_t i = 0; i < per_packet && next < records.size() && reply.fits<T>(); ++i) {
      reply.add(records[next++]);
    }
    if (next < records.size()) reply.header.flags |= api::kFlagMore;
    packets.push_back(to_packet(reply));
  } while (next < records.size());
  return packets;
}

std::string error_packet(const api::Message& request, const Error& error);

}  // namespace weir::test
