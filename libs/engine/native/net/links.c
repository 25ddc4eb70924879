#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>

#include "net.h"

static const struct ifinfomsg no_link = {.ifi_family = AF_UNSPEC};

static void put_end_of_link(struct message *m, const struct link_end *end) {
  put_text(m, IFLA_IFNAME, end->name);
  put_bytes(m, IFLA_ADDRESS, end->mac, sizeof end->mac);
  if (end->mtu > 0) put_u32(m, IFLA_MTU, end->mtu);
}

bool make_veth(int fd, const struct link_end *near, const struct link_end *far, int far_space) {
  struct message m;
  message_start(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &no_link, sizeof no_link);
  put_end_of_link(&m, near);
  const size_t info = put_begin(&m, IFLA_LINKINFO);
  put_text(&m, IFLA_INFO_KIND, "veth");
  const size_t data = put_begin(&m, IFLA_INFO_DATA);
  const size_t peer = put_begin(&m, VETH_INFO_PEER);
  put_raw(&m, &no_link, sizeof no_link);
  put_end_of_link(&m, far);
  put_u32(&m, IFLA_NET_NS_FD, (uint32_t)far_space);
  put_end(&m, peer);
  put_end(&m, data);
  put_end(&m, info);
  return netlink_ask(fd, &m);
}

bool make_bridge(int fd, const struct link_end *bridge) {
  struct message m;
  message_start(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &no_link, sizeof no_link);
  put_end_of_link(&m, bridge);
  const size_t info = put_begin(&m, IFLA_LINKINFO);
  put_text(&m, IFLA_INFO_KIND, "bridge");
  const size_t data = put_begin(&m, IFLA_INFO_DATA);
  put_u8(&m, IFLA_BR_MCAST_SNOOPING, 0);
  put_end(&m, data);
  put_end(&m, info);
  return netlink_ask(fd, &m);
}

bool set_master(int fd, const char *name, const char *bridge) {
  struct message m;
  struct ifinfomsg query = no_link;
  /* Names are looked up by the kernel for the link itself; a master is named by its index. */
  query.ifi_index = 0;
  message_start(&m, RTM_SETLINK, 0, &query, sizeof query);
  put_text(&m, IFLA_IFNAME, name);
  put_u32(&m, IFLA_MASTER, if_nametoindex(bridge));
  return netlink_ask(fd, &m);
}

bool set_up(int fd, const char *name) {
  struct message m;
  const struct ifinfomsg up = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  message_start(&m, RTM_NEWLINK, 0, &up, sizeof up);
  put_text(&m, IFLA_IFNAME, name);
  return netlink_ask(fd, &m);
}

bool add_address(int fd, const char *name, uint32_t address, uint8_t prefix) {
  struct message m;
  const struct ifaddrmsg head = {.ifa_family = AF_INET, .ifa_prefixlen = prefix, .ifa_index = if_nametoindex(name)};
  message_start(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
  put_u32(&m, IFA_LOCAL, address);
  put_u32(&m, IFA_ADDRESS, address);
  /* Of a pair of addresses or a single one there is no broadcast. */
  if (prefix < 31) put_u32(&m, IFA_BROADCAST, address | htonl(~0u >> prefix));
  return netlink_ask(fd, &m);
}

bool add_route(int fd, uint32_t destination, uint8_t prefix, uint32_t gateway, const char *name) {
  struct message m;
  const struct rtmsg head = {
      .rtm_family = AF_INET,
      .rtm_dst_len = prefix,
      .rtm_table = RT_TABLE_MAIN,
      .rtm_protocol = RTPROT_STATIC,
      .rtm_scope = RT_SCOPE_UNIVERSE,
      .rtm_type = RTN_UNICAST,
  };
  message_start(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
  if (prefix > 0) put_u32(&m, RTA_DST, destination);
  put_u32(&m, RTA_GATEWAY, gateway);
  put_u32(&m, RTA_OIF, if_nametoindex(name));
  return netlink_ask(fd, &m);
}

bool remove_link(int fd, const char *name) {
  struct message m;
  message_start(&m, RTM_DELLINK, 0, &no_link, sizeof no_link);
  put_text(&m, IFLA_IFNAME, name);
  return netlink_ask(fd, &m) || errno == ENODEV;
}
