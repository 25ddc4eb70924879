#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

#define PORT 53
#define BACKLOG 16
#define DATAGRAMS_AT_ONCE 32

struct gateway {
  uint32_t address;
  int datagrams, listener;
};

static struct gateway gateways[MAX_ADDRESSES];
static size_t gateway_count;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int bound(int type, uint32_t address) {
  const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = address};
  int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  /* Connections that linger must not keep the port from us; for datagrams the setting would let others share it. */
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  if (bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && (type != SOCK_STREAM || listen(fd, BACKLOG) == 0)) return fd;
  close(fd);
  return -1;
}

static void close_gateway(struct gateway *gateway) {
  questions_forget_socket(gateway->datagrams);
  close(gateway->datagrams);
  close(gateway->listener);
  *gateway = gateways[--gateway_count];
}

static bool among(uint32_t address, const uint32_t *addresses, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (addresses[i] == address) return true;
  return false;
}

static bool open_gateway(uint32_t address) {
  for (size_t i = 0; i < gateway_count; i++)
    if (gateways[i].address == address) return true;
  if (gateway_count == MAX_ADDRESSES) return false;
  struct gateway gateway = {.address = address, .datagrams = bound(SOCK_DGRAM, address)};
  if (gateway.datagrams < 0) return false;
  gateway.listener = bound(SOCK_STREAM, address);
  if (gateway.listener < 0) {
    close(gateway.datagrams);
    return false;
  }
  gateways[gateway_count++] = gateway;
  return true;
}

size_t sockets_set(const uint32_t *addresses, size_t count) {
  size_t failed = 0;
  for (size_t i = 0; i < gateway_count;)
    if (among(gateways[i].address, addresses, count)) i++;
    else close_gateway(&gateways[i]);
  for (size_t i = 0; i < count; i++)
    if (!open_gateway(addresses[i])) failed++;
  return failed;
}

size_t sockets_poll(struct pollfd *into) {
  for (size_t i = 0; i < gateway_count; i++) {
    into[2 * i] = (struct pollfd){.fd = gateways[i].datagrams, .events = POLLIN};
    into[2 * i + 1] = (struct pollfd){.fd = gateways[i].listener, .events = POLLIN};
  }
  return 2 * gateway_count;
}

static void take_datagrams(const struct gateway *gateway) {
  for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
    uint8_t message[MAX_MESSAGE + 1];
    struct question question = {.gateway = gateway->address, .socket = gateway->datagrams};
    socklen_t size = sizeof question.from;
    const ssize_t got = recvfrom(gateway->datagrams, message, sizeof message, MSG_DONTWAIT, (struct sockaddr *)&question.from, &size);
    if (got < 0) return;
    question_open(&question, message, (size_t)got);
  }
}

void sockets_ready(const struct pollfd *polled, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (polled[i].revents == 0) continue;
    const struct gateway *gateway = &gateways[i / 2];
    if (i % 2 == 0) {
      take_datagrams(gateway);
      continue;
    }
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    const int fd = accept4(gateway->listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) stream_open(fd, &from, gateway->address);
  }
}
