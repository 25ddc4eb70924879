#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "net.h"

static const struct nfgenmsg ipv4 = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};

/* The attribute of that type among those at `at`, or NULL. */
static const struct nlattr *find(const uint8_t *at, size_t size, uint16_t type) {
  while (size >= sizeof(struct nlattr)) {
    const struct nlattr *attribute = (const struct nlattr *)(const void *)at;
    const size_t step = NLA_ALIGN(attribute->nla_len);
    if (attribute->nla_len < sizeof *attribute || attribute->nla_len > size) return NULL;
    if ((attribute->nla_type & NLA_TYPE_MASK) == type) return attribute;
    if (step >= size) return NULL;
    at += step;
    size -= step;
  }
  return NULL;
}

static const struct nlattr *find_in(const struct nlattr *nest, uint16_t type) {
  if (nest == NULL) return NULL;
  return find((const uint8_t *)nest + sizeof *nest, nest->nla_len - sizeof *nest, type);
}

static bool is(const struct nlattr *attribute, uint32_t address) {
  return attribute != NULL && attribute->nla_len == sizeof *attribute + sizeof address && memcmp((const uint8_t *)attribute + sizeof *attribute, &address, sizeof address) == 0;
}

static bool names(const struct nlattr *tuple, uint32_t address) {
  const struct nlattr *ip = find_in(tuple, CTA_TUPLE_IP);
  return is(find_in(ip, CTA_IP_V4_SRC), address) || is(find_in(ip, CTA_IP_V4_DST), address);
}

/* One that ended meanwhile is fine. */
static bool forget(int fd, const struct nlattr *tuple) {
  struct message m;
  message_start(&m, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, &ipv4, sizeof ipv4);
  put_raw(&m, tuple, tuple->nla_len);
  return netlink_ask(fd, &m) || errno == ENOENT;
}

static bool look_at(const struct nlmsghdr *message, uint32_t address, int deletes) {
  const size_t head = NLMSG_LENGTH(sizeof(struct nfgenmsg));
  if (message->nlmsg_len < head) return true;
  const uint8_t *at = (const uint8_t *)message + head;
  const size_t size = message->nlmsg_len - head;
  const struct nlattr *original = find(at, size, CTA_TUPLE_ORIG);
  /* Without a tuple a deletion would mean all of them. */
  if (original == NULL || !(names(original, address) || names(find(at, size, CTA_TUPLE_REPLY), address))) return true;
  return forget(deletes, original);
}

bool forget_connections(int dump, int deletes, uint32_t address) {
  struct {
    struct nlmsghdr head;
    struct nfgenmsg body;
  } request = {
      .head = {.nlmsg_len = sizeof request, .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 1},
      .body = ipv4,
  };
  if (send(dump, &request, sizeof request, 0) != (ssize_t)sizeof request) return false;
  for (;;) {
    uint8_t answer[65536];
    const ssize_t got = recv(dump, answer, sizeof answer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (struct nlmsghdr *)(void *)answer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type == NLMSG_DONE) return true;
      if (at->nlmsg_type == NLMSG_ERROR) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(at))->error;
        return errno == 0;
      }
      if (!look_at(at, address, deletes)) return false;
    }
  }
}
