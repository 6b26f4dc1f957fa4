// Deleting a link without waiting for what the kernel does afterwards.
//
// RTM_DELLINK is answered only when the device has been freed, after RCU grace periods of
// some 20 ms. Long before, the kernel tells RTNLGRP_LINK that the namespace has lost it:
// the name is free from then on and no packet passes. So a thread of its own waits for
// the answer, and the caller for whichever comes first.
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <system_error>
#include <thread>

#include "control/netns/netlink.h"
#include "control/netns/netlink_object.h"
#include "dataplane/api/codec.h"

namespace weir::control {

namespace {

struct FreeSocket {
  void operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }
};
using OwnedSocket = std::unique_ptr<nl_sock, FreeSocket>;

Result<OwnedSocket> open_socket() {
  OwnedSocket socket(nl_socket_alloc());
  if (!socket) return Error{ErrorCode::no_memory, "cannot allocate a netlink socket"};
  const int code = nl_connect(socket.get(), NETLINK_ROUTE);
  if (code < 0) return netlink_error("cannot open a netlink socket", code);
  return socket;
}

// Shared by the caller and the thread that outlives its wait.
struct Request {
  OwnedSocket socket;
  OwnedLink link;
  api::Fd answered;
  std::atomic<int> code = 0;  // the kernel's; written before `answered`, read after it

  void run() {
    code = rtnl_link_delete(socket.get(), link.get());
    eventfd_write(answered.get(), 1);
  }
};

// Links that the namespace loses.
class Losses {
 public:
  static Result<Losses> watch(int link) {
    auto socket = open_socket();
    if (!socket) return socket.error();
    nl_socket_disable_seq_check(socket->get());
    nl_socket_set_nonblocking(socket->get());
    const int code = nl_socket_add_membership(socket->get(), RTNLGRP_LINK);
    if (code < 0) return netlink_error("cannot watch links", code);
    return Losses(*std::move(socket), link);
  }

  int fd() const noexcept { return nl_socket_get_fd(socket_.get()); }

  // Reads what is there; true once the link is among it.
  bool seen() {
    Search search{link_, false};
    nl_socket_modify_cb(socket_.get(), NL_CB_VALID, NL_CB_CUSTOM, look, &search);
    nl_recvmsgs_default(socket_.get());
    return search.found;
  }

 private:
  struct Search {
    int link;
    bool found;
  };
  Losses(OwnedSocket socket, int link) : socket_(std::move(socket)), link_(link) {}

  static int look(nl_msg* message, void* argument) {
    auto* search = static_cast<Search*>(argument);
    const nlmsghdr* header = nlmsg_hdr(message);
    const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
    // A bridge reports a port that leaves it in the same way, with its own family.
    search->found =
        search->found || (header->nlmsg_type == RTM_DELLINK && info->ifi_family == AF_UNSPEC &&
                          info->ifi_index == search->link);
    return NL_OK;
  }

  OwnedSocket socket_;
  int link_;
};

Result<std::shared_ptr<Request>> make_request(int link) {
  auto socket = open_socket();
  if (!socket) return socket.error();
  auto request = std::make_shared<Request>();
  request->socket = *std::move(socket);
  request->link.reset(rtnl_link_alloc());
  request->answered.reset(eventfd(0, EFD_CLOEXEC));
  if (!request->link || !request->answered) {
    return Error{ErrorCode::no_memory,
                 "cannot delete the interface: memory or descriptors ran out"};
  }
  rtnl_link_set_ifindex(request->link.get(), link);
  return request;
}

void start(const std::shared_ptr<Request>& request) {
  try {
    std::thread([request] { request->run(); }).detach();
  } catch (const std::system_error&) {
    request->run();  // no thread is left: wait for it all
  }
}

Status result_of(const Request& request) {
  const int code = request.code;
  if (code == -NLE_NODEV || code == -NLE_OBJ_NOTFOUND) return {};
  return netlink_status("cannot delete the interface", code);
}

}  // namespace

Status Netlink::delete_link(int link) {
  auto losses = Losses::watch(link);
  if (!losses) return losses.error();
  const auto request = make_request(link);
  if (!request) return request.error();
  start(*request);
  std::array<pollfd, 2> fds{{{(*request)->answered.get(), POLLIN, 0}, {losses->fd(), POLLIN, 0}}};
  while (true) {
    poll(fds.data(), fds.size(), -1);
    if (fds[0].revents != 0) return result_of(**request);
    if (fds[1].revents != 0 && losses->seen()) return {};
  }
}

}  // namespace weir::control
