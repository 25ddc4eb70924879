#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

static struct nlmsghdr *head_of(struct message *m) { return (struct nlmsghdr *)(void *)m->bytes; }

void put_raw(struct message *m, const void *bytes, size_t size) {
  const size_t padded = NLMSG_ALIGN(size);
  if (m->full || sizeof m->bytes - m->size < padded) {
    m->full = true;
    return;
  }
  if (size > 0) memcpy(m->bytes + m->size, bytes, size);
  memset(m->bytes + m->size + size, 0, padded - size);
  m->size += padded;
}

void message_start(struct message *m, uint16_t type, uint16_t flags, const void *head, size_t head_size) {
  const struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags), .nlmsg_seq = 1};
  m->size = 0;
  m->full = false;
  put_raw(m, &header, sizeof header);
  put_raw(m, head, head_size);
}

void put_bytes(struct message *m, uint16_t type, const void *value, size_t size) {
  const struct nlattr attribute = {.nla_len = (uint16_t)(sizeof attribute + size), .nla_type = type};
  put_raw(m, &attribute, sizeof attribute);
  put_raw(m, value, size);
}

void put_u32(struct message *m, uint16_t type, uint32_t value) { put_bytes(m, type, &value, sizeof value); }
void put_u8(struct message *m, uint16_t type, uint8_t value) { put_bytes(m, type, &value, sizeof value); }
void put_text(struct message *m, uint16_t type, const char *text) { put_bytes(m, type, text, strlen(text) + 1); }

size_t put_begin(struct message *m, uint16_t type) {
  const size_t begin = m->size;
  put_bytes(m, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
  return begin;
}

void put_end(struct message *m, size_t begin) {
  if (!m->full) ((struct nlattr *)(void *)(m->bytes + begin))->nla_len = (uint16_t)(m->size - begin);
}

int netlink_open(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
  const int room = 1 << 20;
  if (fd < 0) return -1;
  /* Without the message that an error is about: each answer is small, so as many as a batch may have fit the socket's queue. */
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &(int){1}, sizeof(int));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  if (bind(fd, (const struct sockaddr *)&any, sizeof any) == 0) return fd;
  close(fd);
  return -1;
}

bool netlink_ask_all(int fd, const uint8_t *bytes, size_t size, unsigned acknowledgements) {
  if (send(fd, bytes, size, 0) != (ssize_t)size) return false;
  int first = 0;
  while (acknowledgements > 0) {
    uint8_t answer[65536];
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (struct nlmsghdr *)(void *)answer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type != NLMSG_ERROR) continue;
      const int error = -((struct nlmsgerr *)NLMSG_DATA(at))->error;
      if (first == 0) first = error;
      if (acknowledgements > 0) acknowledgements--;
    }
    /* A batch that is refused as a whole gets one answer. */
    if (first != 0) break;
  }
  errno = first;
  return first == 0;
}

bool netlink_ask(int fd, struct message *m) {
  if (m->full) {
    errno = EMSGSIZE;
    return false;
  }
  head_of(m)->nlmsg_len = (uint32_t)m->size;
  return netlink_ask_all(fd, m->bytes, m->size, 1);
}
