#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define IDLE_MS 10000
/* One peer leaves the others some. */
#define MAX_STREAMS_OF_ONE 16
#define LENGTH_BYTES 2

/* One question at a time: the next is read when the last was answered (RFC 7766 lets a server take them in turn). */
struct stream {
  bool open, asked;
  int fd;
  struct sockaddr_in from;
  uint32_t gateway;
  int64_t deadline;
  uint8_t in[LENGTH_BYTES + MAX_MESSAGE];
  size_t in_size;
  uint8_t *out;
  size_t out_size, out_sent;
};

static struct stream streams[MAX_STREAMS];

static void close_stream(struct stream *stream) {
  questions_forget(stream);
  close(stream->fd);
  free(stream->out);
  *stream = (struct stream){0};
}

void stream_open(int fd, const struct sockaddr_in *from, uint32_t gateway) {
  struct stream *place = NULL;
  size_t of_one = 0;
  for (size_t i = 0; i < MAX_STREAMS; i++) {
    if (!streams[i].open) place = &streams[i];
    else if (streams[i].from.sin_addr.s_addr == from->sin_addr.s_addr) of_one++;
  }
  if (place == NULL || of_one >= MAX_STREAMS_OF_ONE) {
    close(fd);
    return;
  }
  *place = (struct stream){.open = true, .fd = fd, .from = *from, .gateway = gateway, .deadline = now_ms() + IDLE_MS};
}

/* Asks what is whole. */
static void ask(struct stream *stream) {
  if (stream->asked || stream->in_size < LENGTH_BYTES) return;
  const size_t size = (size_t)stream->in[0] << 8 | stream->in[1];
  if (size < HEADER_BYTES || size > MAX_MESSAGE) {
    close_stream(stream);
    return;
  }
  if (stream->in_size < LENGTH_BYTES + size) return;
  const struct question question = {.from = stream->from, .gateway = stream->gateway, .socket = -1, .stream = stream};
  if (question_open(&question, stream->in + LENGTH_BYTES, size) == NULL) {
    close_stream(stream);
    return;
  }
  stream->asked = true;
  stream->in_size -= LENGTH_BYTES + size;
  memmove(stream->in, stream->in + LENGTH_BYTES + size, stream->in_size);
}

static void flush(struct stream *stream) {
  while (stream->out_sent < stream->out_size) {
    const ssize_t sent = send(stream->fd, stream->out + stream->out_sent, stream->out_size - stream->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      close_stream(stream);
      return;
    }
    stream->out_sent += (size_t)sent;
  }
  free(stream->out);
  stream->out = NULL;
  stream->out_size = stream->out_sent = 0;
  stream->asked = false;
}

void stream_answer(struct stream *stream, const uint8_t *message, size_t size) {
  stream->out = malloc(LENGTH_BYTES + size);
  /* Without memory for it the peer waits in vain, and its time runs out. */
  if (stream->out == NULL) return;
  stream->out[0] = (uint8_t)(size >> 8);
  stream->out[1] = (uint8_t)size;
  memcpy(stream->out + LENGTH_BYTES, message, size);
  stream->out_size = LENGTH_BYTES + size;
  stream->deadline = now_ms() + IDLE_MS;
}

/* In the order of `streams`, one each: a place that is closed is polled for nothing. */
void streams_poll(struct pollfd *into) {
  for (size_t i = 0; i < MAX_STREAMS; i++) {
    struct stream *stream = &streams[i];
    if (stream->open && stream->out != NULL) flush(stream);
    if (stream->open) ask(stream);
    const short events = (short)(stream->out != NULL ? POLLOUT : stream->asked ? 0 : POLLIN);
    into[i] = (struct pollfd){.fd = stream->open ? stream->fd : -1, .events = events};
  }
}

void streams_ready(const struct pollfd *polled, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct stream *stream = &streams[i];
    if (!stream->open || polled[i].fd != stream->fd || polled[i].revents == 0) continue;
    if ((polled[i].revents & (POLLERR | POLLNVAL)) != 0) {
      close_stream(stream);
      continue;
    }
    if ((polled[i].revents & POLLOUT) != 0) flush(stream);
    if (!stream->open || (polled[i].revents & (POLLIN | POLLHUP)) == 0) continue;
    const ssize_t got = recv(stream->fd, stream->in + stream->in_size, sizeof stream->in - stream->in_size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) {
      close_stream(stream);
      continue;
    }
    stream->in_size += (size_t)got;
  }
}

int streams_expire(void) {
  const int64_t now = now_ms();
  int64_t next = -1;
  for (size_t i = 0; i < MAX_STREAMS; i++) {
    if (!streams[i].open) continue;
    if (streams[i].deadline <= now) close_stream(&streams[i]);
    else if (next < 0 || streams[i].deadline - now < next) next = streams[i].deadline - now;
  }
  return (int)next;
}
