/*
 * Hands questions for names from the networks of a tenant to the worker and its answers back (docs/engine/networks.md, "Names"). Messages are bytes
 * here: nothing in them is looked at but, for a failure that we report ourselves, their first four.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay.h"

#define DEADLINE_MS 5000
/* Questions per second that a tenant may ask for long, and at once. */
#define RATE 400
#define BURST 800

static struct question questions[MAX_QUESTIONS];
static uint32_t generation;
static int64_t allowance_ms = BURST * 1000LL / RATE, counted_at;

struct question *question_open(const struct question *from, const uint8_t *message, size_t size) {
  const int64_t now = now_ms();
  allowance_ms += now - counted_at;
  if (allowance_ms > BURST * 1000LL / RATE) allowance_ms = BURST * 1000LL / RATE;
  counted_at = now;
  if (size < HEADER_BYTES || size > MAX_MESSAGE || allowance_ms < 1000 / RATE) return NULL;
  for (size_t i = 0; i < MAX_QUESTIONS; i++) {
    struct question *question = &questions[i];
    if (question->message != NULL) continue;
    uint8_t *copy = malloc(size);
    if (copy == NULL) return NULL;
    memcpy(copy, message, size);
    *question = *from;
    question->id = (uint32_t)i | (++generation << 8);
    question->message = copy;
    question->size = size;
    question->deadline = now + DEADLINE_MS;
    question->sent = false;
    allowance_ms -= 1000 / RATE;
    return question;
  }
  return NULL;
}

static void close_question(struct question *question) {
  free(question->message);
  question->message = NULL;
}

void question_answer(uint32_t id, const uint8_t *message, size_t size) {
  struct question *question = &questions[id % MAX_QUESTIONS];
  if (question->message == NULL || question->id != id) return;
  if (question->stream != NULL) stream_answer(question->stream, message, size);
  else sendto(question->socket, message, size, MSG_DONTWAIT, (const struct sockaddr *)&question->from, sizeof question->from);
  close_question(question);
}

void questions_forget(const struct stream *stream) {
  for (size_t i = 0; i < MAX_QUESTIONS; i++)
    if (questions[i].message != NULL && questions[i].stream == stream) close_question(&questions[i]);
}

void questions_forget_socket(int socket) {
  for (size_t i = 0; i < MAX_QUESTIONS; i++)
    if (questions[i].message != NULL && questions[i].stream == NULL && questions[i].socket == socket) close_question(&questions[i]);
}

/* The question itself, marked as an answer that says SERVFAIL (RFC 1035, 4.1.1). */
static void report_failure(struct question *question) {
  question->message[2] = (uint8_t)((question->message[2] | 0x80) & ~0x06);
  question->message[3] = 2;
  question_answer(question->id, question->message, question->size);
}

static int expire(void) {
  const int64_t now = now_ms();
  int64_t next = -1;
  for (size_t i = 0; i < MAX_QUESTIONS; i++) {
    if (questions[i].message == NULL) continue;
    if (questions[i].deadline <= now) report_failure(&questions[i]);
    else if (next < 0 || questions[i].deadline - now < next) next = questions[i].deadline - now;
  }
  return (int)next;
}

/* To a worker that is new or has room again. What one that went away was asked is asked again. */
static void send_questions(bool again) {
  for (size_t i = 0; i < MAX_QUESTIONS; i++) {
    if (again) questions[i].sent = false;
    if (questions[i].message != NULL && !questions[i].sent) questions[i].sent = worker_ask(&questions[i]);
  }
}

static int sooner(int left, int right) {
  if (left < 0) return right;
  return right < 0 || left < right ? left : right;
}

_Noreturn void relay(int listener) {
  static struct pollfd polled[2 + MAX_STREAMS + 2 * MAX_ADDRESSES];
  struct pollfd *const streams = polled + 2, *const sockets = streams + MAX_STREAMS;
  bool fresh = false;
  counted_at = now_ms();
  for (;;) {
    streams_poll(streams);
    send_questions(fresh);
    polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    polled[1] = worker_poll();
    const size_t count = sockets_poll(sockets);
    if (poll(polled, (nfds_t)(2 + MAX_STREAMS + count), sooner(expire(), streams_expire())) < 0) {
      if (errno != EINTR) exit(1);
      continue;
    }
    streams_ready(streams, MAX_STREAMS);
    sockets_ready(sockets, count);
    worker_ready(polled[1].revents);
    fresh = polled[0].revents != 0 && worker_accept(listener);
  }
}
