/*
 * sandbar-dial PID START PORT: a TCP connection to PORT on the loopback of the network name space of process PID, whose start time (proc_pid_stat(5), field 22) is START.
 *
 * On stdin come a token (64 hex digits), a newline, the path of a Unix socket. The program connects back to it and says the token and a u32 (little-endian): 0, or the
 * errno of what failed. Then the bytes of both pass, the end of either half as that. Nothing of the name space's mounts or processes is touched.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dial.h"

#define TOKEN_SIZE 64
#define NOBODY 65534

static long number(const char *text, long most) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  return errno != 0 || *text == 0 || *end != 0 || value < 1 || value > most ? -1 : value;
}

/* The token and the path, whole or not at all. */
static bool read_call(char token[TOKEN_SIZE + 1], struct sockaddr_un *address) {
  char call[TOKEN_SIZE + 1 + sizeof address->sun_path];
  size_t held = 0;
  for (ssize_t size; held < sizeof call && (size = read(STDIN_FILENO, call + held, sizeof call - held)) != 0;) {
    if (size < 0 && errno != EINTR) return false;
    if (size > 0) held += (size_t)size;
  }
  if (held <= TOKEN_SIZE + 1 || held == sizeof call || call[TOKEN_SIZE] != '\n') return false;
  memcpy(token, call, TOKEN_SIZE);
  token[TOKEN_SIZE] = 0;
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, call + TOKEN_SIZE + 1, held - TOKEN_SIZE - 1);
  return true;
}

static int connect_back(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) return -1;
  return fd;
}

static int connect_loopback(int family, uint16_t port) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  const struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  /* A listener whose queue is full keeps a caller waiting for minutes. */
  unsigned wait_ms = CONNECT_MS;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &wait_ms, sizeof wait_ms);
  int tries = 2, on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof tries);
  if (connect(fd, address, family == AF_INET ? sizeof v4 : sizeof v6) == 0) {
    unsigned none = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &none, sizeof none);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}

/* What listens on ::1 only is as near as what listens on 127.0.0.1. */
static int dial(int pid, unsigned long long start, uint16_t port) {
  int space = open_space(pid, start);
  if (space < 0 || setns(space, CLONE_NEWNET) < 0) return -1;
  close(space);
  int fd = connect_loopback(AF_INET, port);
  if (fd >= 0) return fd;
  int saved = errno;
  if (saved == ECONNREFUSED) fd = connect_loopback(AF_INET6, port);
  if (fd < 0) errno = saved;
  return fd;
}

/* From here on it needs nothing but its two connections. */
static bool drop_privileges(void) {
  return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  long pid = number(argv[1], INT32_MAX), port = number(argv[3], UINT16_MAX);
  char *end;
  unsigned long long start = strtoull(argv[2], &end, 10);
  char token[TOKEN_SIZE + 1];
  struct sockaddr_un address = {0};
  if (pid < 0 || port < 0 || *end != 0 || !read_call(token, &address)) return 2;
  int back = connect_back(&address);
  if (back < 0) return 3;
  int fd = dial((int)pid, start, (uint16_t)port);
  uint32_t status = fd >= 0 ? 0 : (uint32_t)errno;
  if (!drop_privileges()) return 4;
  unsigned char answer[4] = {(unsigned char)status, (unsigned char)(status >> 8), (unsigned char)(status >> 16), (unsigned char)(status >> 24)};
  if (write(back, token, TOKEN_SIZE) != TOKEN_SIZE || write(back, answer, sizeof answer) != (ssize_t)sizeof answer) return 3;
  if (fd < 0) return 1;
  return pass(back, fd) ? 0 : 1;
}
