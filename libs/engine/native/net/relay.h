#ifndef SANDBAR_NET_RELAY_H
#define SANDBAR_NET_RELAY_H

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADER_BYTES 12
/* Of a question; an answer has up to 65535 bytes. */
#define MAX_MESSAGE 4096
#define MAX_ANSWER 65535
#define MAX_QUESTIONS 256
/* Gateways that are listened on. */
#define MAX_ADDRESSES 80
#define MAX_STREAMS 64

int64_t now_ms(void);

/* --- questions that wait for an answer (relay.c) --- */

struct stream;

struct question {
  /* Its place below MAX_QUESTIONS in the low eight bits; the others tell it from earlier ones there. */
  uint32_t id;
  struct sockaddr_in from;
  /* Of the gateway that was asked, network byte order. */
  uint32_t gateway;
  /* Where a datagram's answer goes out; NULL `stream` says that it was one. */
  int socket;
  struct stream *stream;
  /* NULL: this place is free. */
  uint8_t *message;
  size_t size;
  int64_t deadline;
  bool sent;
};

/* NULL when there are too many, or too many in this second: the question is dropped. */
struct question *question_open(const struct question *from, const uint8_t *message, size_t size);
/* One that nobody waits for any more is nothing. */
void question_answer(uint32_t id, const uint8_t *message, size_t size);
void questions_forget(const struct stream *stream);
void questions_forget_socket(int socket);

/* --- the gateways' sockets (sockets.c) --- */

/* Exactly these are listened on from now. What cannot be bound is left out; the number of those. */
size_t sockets_set(const uint32_t *addresses, size_t count);
size_t sockets_poll(struct pollfd *into);
void sockets_ready(const struct pollfd *polled, size_t count);

/* --- connections over TCP (streams.c) --- */

void stream_open(int fd, const struct sockaddr_in *from, uint32_t gateway);
void stream_answer(struct stream *stream, const uint8_t *message, size_t size);
/* MAX_STREAMS places. Asks what has come in whole. */
void streams_poll(struct pollfd *into);
void streams_ready(const struct pollfd *polled, size_t count);
/* Milliseconds to the next end, -1: none. */
int streams_expire(void);

/* --- the worker's connection (worker.c) --- */

struct pollfd worker_poll(void);
void worker_ready(short events);
/* A new worker takes the place of one that is connected. */
bool worker_accept(int listener);
/* False: none is there, or it has too much to read already. */
bool worker_ask(const struct question *question);

#endif
