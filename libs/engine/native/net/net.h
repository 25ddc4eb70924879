#ifndef SANDBAR_NET_H
#define SANDBAR_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Says what failed on stderr, as `<step>: <errno>`, and ends the program. */
_Noreturn void fail(const char *step);

/* --- name spaces (spaces.c) --- */

/* The network name space of a process that is the one which started at `start` (proc_pid_stat(5), field 22). A descriptor, or -1 with errno. */
int open_space(int pid, unsigned long long start);
bool enter_space(int fd);
/* `path` below /proc/sys/net of the name space that we are in, such as `ipv4/ip_forward`. */
bool write_sysctl(const char *path, const char *value);

/* --- netlink (netlink.c) --- */

/* One request under construction. What does not fit makes it `full`, and sending it fails. */
struct message {
  uint8_t bytes[16384];
  size_t size;
  bool full;
};

void message_start(struct message *m, uint16_t type, uint16_t flags, const void *head, size_t head_size);
void put_bytes(struct message *m, uint16_t type, const void *value, size_t size);
void put_u32(struct message *m, uint16_t type, uint32_t value);
void put_u8(struct message *m, uint16_t type, uint8_t value);
void put_text(struct message *m, uint16_t type, const char *text);
/* Returns where the nest begins, for put_end. */
size_t put_begin(struct message *m, uint16_t type);
void put_raw(struct message *m, const void *bytes, size_t size);
void put_end(struct message *m, size_t begin);

/* A socket of the name space that we are in. */
int netlink_open(int protocol);
/* Sends one message and waits for its acknowledgement. False with errno. */
bool netlink_ask(int fd, struct message *m);
/* Sends bytes that hold several messages and waits for that many acknowledgements. False with the first errno. */
bool netlink_ask_all(int fd, const uint8_t *bytes, size_t size, unsigned acknowledgements);

/* --- links, addresses, routes (links.c); `fd` is a NETLINK_ROUTE socket. False with errno --- */

struct link_end {
  const char *name;
  uint8_t mac[6];
  uint32_t mtu;
};

bool make_veth(int fd, const struct link_end *near, const struct link_end *far, int far_space);
bool make_bridge(int fd, const struct link_end *bridge);
bool set_master(int fd, const char *name, const char *bridge);
bool set_up(int fd, const char *name);
/* `address` in network byte order. */
bool add_address(int fd, const char *name, uint32_t address, uint8_t prefix);
/* A destination of prefix 0 is the default route. */
bool add_route(int fd, uint32_t destination, uint8_t prefix, uint32_t gateway, const char *name);
/* A link that is not there is fine. */
bool remove_link(int fd, const char *name);

/* --- elements of nftables sets (sets.c) --- */

struct element {
  uint8_t family;
  bool remove;
  const char *table, *set;
  uint8_t key[64], end[64], data[64];
  size_t key_size, end_size, data_size;
  uint64_t timeout_ms;
};

/* All of them or none, in one transaction. `fd` is a NETLINK_NETFILTER socket. False with errno. */
bool change_elements(int fd, const struct element *elements, size_t count);

/* --- connections that the kernel remembers (connections.c) --- */

/* Those with the address (network byte order), before or after translation. Two NETLINK_NETFILTER sockets of one name space. False with errno. */
bool forget_connections(int dump, int deletes, uint32_t address);

/* --- the commands --- */

int apply(void);
int hold(const char *socket_path);
/* Serves names until it is ended. `listener` is the Unix socket to which the worker connects. */
_Noreturn void relay(int listener);

#endif
