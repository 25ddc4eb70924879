#include "connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"

#define SEND_BYTES (256u << 10)
/* Answers that the host has not taken: beyond it no request is read. */
#define ANSWER_BYTES (64u << 10)
/* Requests and sends per turn of the loop, so that neither side starves the guests' pipes. */
#define REQUESTS_PER_TURN 256
#define SENDS_PER_TURN 16
#define MESSAGE_BYTES 256
#define LEAVE_MS 1000
/* Buffers give memory beyond this back to the kernel once they are empty. */
#define KEPT_BYTES (64u << 10)

struct connection {
  struct source source;
  uint64_t number;
  bool greeted;
  bool leaving;
  bool backlog; /* whole frames may lie unread in `received` */
  bool file_turn;
  int64_t leave_until_ms;
  size_t received_bytes;
  size_t send_at, send_end;
  size_t send_peak;
  uint8_t *answers;
  size_t answer_at, answer_end, answer_room;
  uint8_t *received;
  uint8_t *send;
};

static struct source listener;
static struct connection slots[2];
static struct connection *active;
static uint64_t connections;
static uint8_t received_memory[2][MAX_FRAME_BYTES] __attribute__((aligned(4096)));
static uint8_t send_memory[2][SEND_BYTES] __attribute__((aligned(4096)));

static void give_back(uint8_t *memory, size_t peak, size_t room) {
  if (peak > KEPT_BYTES) madvise(memory + KEPT_BYTES, room - KEPT_BYTES, MADV_DONTNEED);
}

static void connection_close(struct connection *connection) {
  source_close(&connection->source);
  free(connection->answers);
  connection->answers = NULL;
  connection->answer_at = connection->answer_end = connection->answer_room = 0;
  if (connection == active) {
    active = NULL;
    files_reset();
    processes_disconnected(connection->number);
  }
  give_back(connection->received, MAX_FRAME_BYTES, MAX_FRAME_BYTES);
  give_back(connection->send, SEND_BYTES, SEND_BYTES);
}

static bool answer(struct connection *connection, uint8_t type, uint32_t id, uint64_t seq, const uint8_t *payload, uint32_t length) {
  size_t needed = HEADER_BYTES + (size_t)length;
  if (connection->answer_room - connection->answer_end < needed) {
    size_t room = (connection->answer_end + needed) * 2;
    uint8_t *grown = realloc(connection->answers, room);
    if (grown == NULL) return false;
    connection->answers = grown;
    connection->answer_room = room;
  }
  uint8_t *out = connection->answers + connection->answer_end;
  frame_header(out, type, 0, id, seq, length);
  if (length > 0) memcpy(out + HEADER_BYTES, payload, length);
  connection->answer_end += needed;
  return true;
}

static size_t answers_waiting(const struct connection *connection) {
  return connection->answer_end - connection->answer_at;
}

static void reply(struct asker asker, enum reply_code code, uint64_t seq, const char *message) {
  if (active == NULL || active->number != asker.connection) return;
  uint8_t payload[4 + MESSAGE_BYTES];
  size_t length = strlen(message);
  put_u16(payload, (uint16_t)code);
  put_u16(payload + 2, (uint16_t)length);
  memcpy(payload + 4, message, length);
  /* A request without its answer would be waited for in vain. */
  if (!answer(active, FRAME_REPLY, asker.request, seq, payload, (uint32_t)(4 + length))) connection_close(active);
}

void reply_ok(struct asker asker) {
  reply(asker, REPLY_OK, 0, "");
}

void reply_taken(struct asker asker, uint64_t taken) {
  reply(asker, REPLY_OK, taken, "");
}

void reply_error(struct asker asker, enum reply_code code, const char *format, ...) {
  char message[MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  reply(asker, code, 0, message);
}

/* Moves whole frames into the send buffer, answers before everything else. */
static void fill(struct connection *connection) {
  const size_t largest = HEADER_BYTES + 8 + MAX_CHUNK_BYTES;
  if (connection->send_at == connection->send_end) connection->send_at = connection->send_end = 0;
  for (;;) {
    size_t room = SEND_BYTES - connection->send_end;
    size_t waiting = answers_waiting(connection);
    if (waiting > 0) {
      size_t taken = waiting < room ? waiting : room;
      memcpy(connection->send + connection->send_end, connection->answers + connection->answer_at, taken);
      connection->send_end += taken;
      connection->answer_at += taken;
      if (taken < waiting) break;
      connection->answer_at = connection->answer_end = 0;
      continue;
    }
    if (room < largest || connection->leaving || !connection->greeted) break;
    struct event *event = events_unsent();
    if (file_reads_pending() && (event == NULL || connection->file_turn)) {
      connection->file_turn = false;
      connection->send_end += file_read_next(connection->send + connection->send_end);
    } else if (event != NULL) {
      connection->file_turn = true;
      memcpy(connection->send + connection->send_end, event->frame, event->frame_bytes);
      connection->send_end += event->frame_bytes;
      events_sent();
    } else {
      break;
    }
  }
  if (connection->send_end > connection->send_peak) connection->send_peak = connection->send_end;
}

static uint32_t interest(const struct connection *connection, bool more_to_send) {
  bool read = !connection->leaving && answers_waiting(connection) < ANSWER_BYTES;
  return (read ? (uint32_t)EPOLLIN : 0u) | (more_to_send ? (uint32_t)EPOLLOUT : 0u);
}

static void push(struct connection *connection) {
  bool more = true;
  for (int i = 0; more && i < SENDS_PER_TURN; i++) {
    if (connection->send_at == connection->send_end) fill(connection);
    if (connection->send_at == connection->send_end) {
      more = false;
      break;
    }
    ssize_t sent = send(connection->source.fd, connection->send + connection->send_at, connection->send_end - connection->send_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      connection_close(connection);
      return;
    }
    connection->send_at += (size_t)sent;
  }
  if (!more) {
    give_back(connection->send, connection->send_peak, SEND_BYTES);
    connection->send_peak = 0;
    if (connection->leaving) {
      connection_close(connection);
      return;
    }
  }
  if (!source_watch(&connection->source, interest(connection, more))) connection_close(connection);
}

/* Sends what is begun, then why it is over. The host's requests are no longer read. */
static void leave(struct connection *connection, enum bye_reason reason, const char *message) {
  uint8_t payload[4 + MESSAGE_BYTES];
  size_t length = strnlen(message, MESSAGE_BYTES);
  put_u16(payload, (uint16_t)reason);
  put_u16(payload + 2, (uint16_t)length);
  memcpy(payload + 4, message, length);
  if (connection == active) {
    active = NULL;
    files_reset();
    processes_disconnected(connection->number);
  }
  connection->leaving = true;
  connection->leave_until_ms = clock_monotonic_ms() + LEAVE_MS;
  if (!answer(connection, FRAME_BYE, 0, 0, payload, (uint32_t)(4 + length))) {
    connection_close(connection);
    return;
  }
  push(connection);
}

static const char *greet(struct connection *connection, const struct frame *frame) {
  struct hello_request hello;
  const char *fault = decode_hello(frame, &hello);
  if (fault != NULL) return fault;
  if (connection->greeted) return "greeted twice";
  if (hello.version != PROTOCOL_VERSION) {
    leave(connection, BYE_VERSION, "this agent speaks version 3");
    return NULL;
  }
  uint64_t last = events_next() - 1;
  uint8_t payload[24];
  events_acknowledge(hello.after < last ? hello.after : last);
  events_rewind();
  put_u32(payload, PROTOCOL_VERSION);
  put_u64(payload + 4, events_oldest());
  put_u64(payload + 12, events_next());
  put_u32(payload + 20, processes_highest());
  connection->greeted = true;
  processes_resume();
  if (!answer(connection, FRAME_WELCOME, 0, 0, payload, sizeof payload)) connection_close(connection);
  return NULL;
}

static const char *request(struct connection *connection, const struct frame *frame) {
  struct asker asker = {.connection = connection->number, .request = frame->id};
  bool more = (frame->flags & FLAG_MORE) != 0;
  const char *fault = NULL;
  union {
    struct start_request start;
    struct stdin_request input;
    struct signal_request signal;
    struct resize_request resize;
    struct flow_request flow;
    struct write_file_request write;
    struct read_file_request read;
    uint32_t process;
  } as;
  switch (frame->type) {
    case FRAME_PING:
      reply_ok(asker);
      break;
    case FRAME_START:
      if ((fault = decode_start(frame, &as.start)) == NULL) process_start(asker, &as.start);
      break;
    case FRAME_STDIN:
      if ((fault = decode_stdin(frame, &as.input)) == NULL) process_write_stdin(asker, &as.input);
      break;
    case FRAME_CLOSE_STDIN:
      if ((fault = decode_process(frame, &as.process)) == NULL) process_close_stdin(asker, as.process);
      break;
    case FRAME_SIGNAL:
      if ((fault = decode_signal(frame, &as.signal)) == NULL) process_signal(asker, &as.signal);
      break;
    case FRAME_KILL_ALL:
      process_kill_all(asker);
      break;
    case FRAME_RESIZE:
      if ((fault = decode_resize(frame, &as.resize)) == NULL) process_resize(asker, &as.resize);
      break;
    case FRAME_FLOW:
      if ((fault = decode_flow(frame, &as.flow)) == NULL) process_flow(asker, &as.flow);
      break;
    case FRAME_WRITE_FILE:
      fault = decode_write_file(frame, &as.write);
      /* Its other pieces are already on their way, and would have nowhere to go. */
      if (fault != NULL && more) return fault;
      if (fault == NULL && !file_write(asker, &as.write, more)) return "another file is being written";
      break;
    case FRAME_WRITE_DATA:
      if (!file_write_more(asker, frame->payload, frame->length, more)) return "no file is being written by this request";
      break;
    case FRAME_READ_FILE:
      if ((fault = decode_read_file(frame, &as.read)) == NULL) file_read(asker, &as.read);
      break;
    default:
      return "unknown type of frame";
  }
  if (fault != NULL) reply_error(asker, REPLY_INVALID_ARGUMENT, "%s", fault);
  return NULL;
}

static const char *handle(struct connection *connection, const struct frame *frame) {
  if (frame->type == FRAME_HELLO) return greet(connection, frame);
  if (!connection->greeted) return "not greeted";
  if (frame->type != FRAME_ACK) return request(connection, frame);
  if (!events_acknowledge(frame->seq)) return "acknowledged an event that does not exist";
  processes_resume();
  return NULL;
}

/* Handles the whole frames that have come. */
static void consume(struct connection *connection) {
  size_t at = 0;
  connection->backlog = false;
  for (int handled = 0;; handled++) {
    struct frame frame;
    size_t consumed = 0;
    /* Bytes that no longer may be handled in this turn wait for the next. */
    if (handled == REQUESTS_PER_TURN || answers_waiting(connection) >= ANSWER_BYTES) {
      connection->backlog = true;
      break;
    }
    int result = frame_decode(connection->received + at, connection->received_bytes - at, &frame, &consumed);
    if (result == 0) break;
    const char *fault = result < 0 ? "malformed frame" : handle(connection, &frame);
    if (fault != NULL) {
      leave(connection, BYE_PROTOCOL, fault);
      return;
    }
    /* A handler may have ended the connection. */
    if (connection->source.fd < 0 || connection->leaving) return;
    at += consumed;
  }
  size_t peak = connection->received_bytes;
  connection->received_bytes -= at;
  if (at > 0) memmove(connection->received, connection->received + at, connection->received_bytes);
  if (at > 0 && connection->received_bytes == 0) give_back(connection->received, peak, MAX_FRAME_BYTES);
}

static void connection_ready(struct source *source, uint32_t events) {
  struct connection *connection = source->owner;
  if (connection->leaving || (events & EPOLLOUT) != 0) {
    push(connection);
    if (source->fd < 0 || connection->leaving) return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || connection->backlog) return;
  ssize_t length = recv(source->fd, connection->received + connection->received_bytes, MAX_FRAME_BYTES - connection->received_bytes, MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (length <= 0) {
    connection_close(connection);
    return;
  }
  connection->received_bytes += (size_t)length;
  consume(connection);
}

void connection_adopt(int fd) {
  if (active != NULL) leave(active, BYE_TAKEN_OVER, "another connection took over");
  bool first = slots[0].source.fd < 0 || (slots[1].source.fd >= 0 && slots[0].number < slots[1].number);
  struct connection *connection = first ? &slots[0] : &slots[1];
  /* Both are leaving: the one that left first has had its time. */
  if (connection->source.fd >= 0) connection_close(connection);
  size_t slot = (size_t)(connection - slots);
  *connection = (struct connection){.number = ++connections, .received = received_memory[slot], .send = send_memory[slot]};
  source_init(&connection->source, fd, connection_ready, connection);
  active = connection;
  if (!source_watch(&connection->source, EPOLLIN)) connection_close(connection);
}

void connection_flush(void) {
  if (active != NULL && active->backlog && answers_waiting(active) < ANSWER_BYTES) consume(active);
  if (active != NULL) push(active);
}

int connection_tick(void) {
  int next_ms = active != NULL && active->backlog && answers_waiting(active) < ANSWER_BYTES ? 0 : -1;
  int64_t now = clock_monotonic_ms();
  for (size_t i = 0; i < 2; i++) {
    if (slots[i].source.fd < 0 || !slots[i].leaving) continue;
    int left = (int)(slots[i].leave_until_ms - now);
    if (left <= 0) connection_close(&slots[i]);
    else if (next_ms < 0 || left < next_ms) next_ms = left;
  }
  return next_ms;
}

static void listener_ready(struct source *source, uint32_t events) {
  (void)events;
  int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) connection_adopt(fd);
}

bool listener_open(int fd) {
  slots[0].source.fd = slots[1].source.fd = -1;
  source_init(&listener, fd, listener_ready, NULL);
  return source_watch(&listener, EPOLLIN);
}
