/*
 * The worker's end. Numbers are little-endian, addresses as on the wire.
 *   to the worker:   u32 size of what follows, u32 question, 4 bytes who asks, u16 its port, 4 bytes gateway, u8 1 for TCP, message
 *   from the worker: u32 size of what follows, u8 1, u32 question, message
 *                    u32 size of what follows, u8 2, addresses to listen on, 4 bytes each; answered by
 *   to the worker:   u32 4, u32 0xffffffff, less how many of them could not be bound
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define OP_ANSWER 1
#define OP_LISTEN 2
#define HEAD 15
#define MAX_FRAME (5 + MAX_ANSWER)

static int worker = -1;
static uint8_t in[4 + MAX_FRAME];
static size_t in_size;
/* Every question there may be, once. */
static uint8_t out[MAX_QUESTIONS * 1024];
static size_t out_size;

static uint32_t u32_at(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return le32toh(value);
}

static void append(const void *bytes, size_t size) {
  memcpy(out + out_size, bytes, size);
  out_size += size;
}

static void append_u32(uint32_t value) {
  const uint32_t wire = htole32(value);
  append(&wire, sizeof wire);
}

static void hang_up(void) {
  if (worker >= 0) close(worker);
  worker = -1;
  in_size = out_size = 0;
}

static void flush(void) {
  while (worker >= 0 && out_size > 0) {
    const ssize_t sent = send(worker, out, out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      hang_up();
      return;
    }
    out_size -= (size_t)sent;
    memmove(out, out + sent, out_size);
  }
}

static bool listen_on(const uint8_t *body, size_t size) {
  uint32_t addresses[MAX_ADDRESSES];
  if (size % 4 != 0 || size / 4 > MAX_ADDRESSES) return false;
  memcpy(addresses, body, size);
  const size_t failed = sockets_set(addresses, size / 4);
  if (sizeof out - out_size < 8) return false;
  append_u32(4);
  append_u32(UINT32_MAX - (uint32_t)failed);
  return true;
}

static bool take_frame(const uint8_t *body, size_t size) {
  if (size >= 1 && body[0] == OP_LISTEN) return listen_on(body + 1, size - 1);
  if (size < 5 || body[0] != OP_ANSWER) return false;
  question_answer(u32_at(body + 1), body + 5, size - 5);
  return true;
}

static void receive(void) {
  const ssize_t got = recv(worker, in + in_size, sizeof in - in_size, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    hang_up();
    return;
  }
  in_size += (size_t)got;
  size_t at = 0;
  while (in_size - at >= 4) {
    const size_t size = u32_at(in + at);
    if (size > MAX_FRAME) {
      hang_up();
      return;
    }
    if (in_size - at - 4 < size) break;
    if (!take_frame(in + at + 4, size)) {
      hang_up();
      return;
    }
    at += 4 + size;
  }
  in_size -= at;
  memmove(in, in + at, in_size);
}

struct pollfd worker_poll(void) {
  flush();
  return (struct pollfd){.fd = worker, .events = (short)(POLLIN | (out_size > 0 ? POLLOUT : 0))};
}

void worker_ready(short events) {
  if (worker >= 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0) receive();
}

bool worker_accept(int listener) {
  const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return false;
  hang_up();
  worker = fd;
  return true;
}

bool worker_ask(const struct question *question) {
  if (worker < 0 || sizeof out - out_size < 4 + HEAD + question->size) return false;
  const uint16_t port = htole16(ntohs(question->from.sin_port));
  append_u32((uint32_t)(HEAD + question->size));
  append_u32(question->id);
  append(&question->from.sin_addr.s_addr, 4);
  append(&port, sizeof port);
  append(&question->gateway, 4);
  append(&(uint8_t){question->stream != NULL}, 1);
  append(question->message, question->size);
  return true;
}
