#include "control/netns/netlink.h"

#include <net/if.h>
#include <netlink/socket.h>

#include "control/netns/netlink_object.h"

namespace weir::control {

namespace {

constexpr int kMaxNetlinkRetries = 3;  // of a request that a concurrent change interrupted

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : text; }

Link read_link(rtnl_link* object) {
  Link link;
  link.index = rtnl_link_get_ifindex(object);
  link.name = text_or_empty(rtnl_link_get_name(object));
  link.kind = text_or_empty(rtnl_link_get_type(object));
  link.alias = text_or_empty(rtnl_link_get_ifalias(object));
  link.mtu = rtnl_link_get_mtu(object);
  link.up = (rtnl_link_get_flags(object) & IFF_UP) != 0;
  const nl_addr* mac = rtnl_link_get_addr(object);
  if (mac != nullptr && nl_addr_get_len(mac) == link.mac.bytes.size()) {
    std::memcpy(link.mac.bytes.data(), nl_addr_get_binary_addr(mac), link.mac.bytes.size());
  }
  return link;
}

}  // namespace

void Netlink::Free::operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }

Result<Netlink> Netlink::open() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return Error{ErrorCode::no_memory, "cannot allocate a netlink socket"};
  Netlink netlink(socket);
  const int code = nl_connect(socket, NETLINK_ROUTE);
  if (code < 0) return netlink_error("cannot open a netlink socket", code);
  return netlink;
}

Result<std::optional<Link>> Netlink::find_link(const std::string& name) {
  rtnl_link* object = nullptr;
  int code = -NLE_INTR;
  for (int i = 0; code == -NLE_INTR && i < kMaxNetlinkRetries; ++i) {
    code = rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &object);
  }
  const OwnedLink link(object);
  if (code == -NLE_OBJ_NOTFOUND || code == -NLE_NODEV) return std::optional<Link>();
  if (code < 0) return netlink_error("cannot look for the interface " + name, code);
  return std::optional<Link>(read_link(link.get()));
}

template <class Change>
Status Netlink::change_link(int link, const char* what, Change change) {
  const OwnedLink original(rtnl_link_alloc());
  const OwnedLink wanted(rtnl_link_alloc());
  if (!original || !wanted) return {ErrorCode::no_memory, what};
  rtnl_link_set_ifindex(original.get(), link);
  change(wanted.get());
  return netlink_status(what, rtnl_link_change(socket_.get(), original.get(), wanted.get(), 0));
}

Status Netlink::set_mtu(int link, uint32_t mtu) {
  return change_link(link, "cannot set the MTU of the interface",
                     [&](rtnl_link* wanted) { rtnl_link_set_mtu(wanted, mtu); });
}

Status Netlink::set_identity(int link, const std::string& alias, const MacAddress& mac,
                             uint32_t mtu) {
  const OwnedAddress address = to_netlink(mac);
  return change_link(link, "cannot set alias, MAC address and MTU of the interface",
                     [&](rtnl_link* wanted) {
                       rtnl_link_set_ifalias(wanted, alias.c_str());
                       rtnl_link_set_addr(wanted, address.get());
                       rtnl_link_set_mtu(wanted, mtu);
                     });
}

Status Netlink::set_up(int link) {
  return change_link(link, "cannot bring the interface up",
                     [](rtnl_link* wanted) { rtnl_link_set_flags(wanted, IFF_UP); });
}

}  // namespace weir::control
