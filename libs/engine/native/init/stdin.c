#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "connection.h"
#include "processes.h"

static size_t total_bytes;

static void drop_chunks(struct process *process) {
  while (process->in_head != NULL) {
    struct chunk *chunk = process->in_head;
    process->in_head = chunk->next;
    total_bytes -= chunk->length;
    free(chunk);
  }
  process->in_tail = NULL;
  process->in_bytes = 0;
}

void stdin_end(struct process *process) {
  drop_chunks(process);
  source_close(&process->in);
  if (process->in_pending) {
    process->in_pending = false;
    reply_error(process->in_asker, REPLY_FAILED_PRECONDITION, "stdin is closed");
  }
}

static bool append(struct process *process, const uint8_t *data, size_t length) {
  if (length == 0) return true;
  struct chunk *chunk = malloc(sizeof *chunk + length);
  if (chunk == NULL) return false;
  chunk->next = NULL;
  chunk->length = length;
  chunk->taken = 0;
  memcpy(chunk->bytes, data, length);
  if (process->in_tail == NULL) process->in_head = chunk;
  else process->in_tail->next = chunk;
  process->in_tail = chunk;
  process->in_bytes += length;
  total_bytes += length;
  return true;
}

/* A terminal knows no end of its input; a reader in canonical mode takes the EOF character at a line's start for one. */
static void append_terminal_eof(struct process *process) {
  struct termios settings;
  uint8_t eof[2] = {4, 4};
  if (tcgetattr(process->in.fd, &settings) == 0) memset(eof, settings.c_cc[VEOF], sizeof eof);
  /* In the middle of a line the first one only hands over what stands there. */
  append(process, eof, process->in_at_line_start ? 1 : 2);
}

/* Writes what the guest takes. */
static void push(struct process *process) {
  while (process->in_head != NULL) {
    struct chunk *chunk = process->in_head;
    ssize_t written = write(process->in.fd, chunk->bytes + chunk->taken, chunk->length - chunk->taken);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      if (!source_watch(&process->in, EPOLLOUT)) stdin_end(process);
      break;
    }
    if (written < 0) {
      /* Nobody will ever read it. */
      stdin_end(process);
      return;
    }
    chunk->taken += (size_t)written;
    process->in_bytes -= (size_t)written;
    if (chunk->taken < chunk->length) continue;
    process->in_head = chunk->next;
    if (process->in_head == NULL) process->in_tail = NULL;
    total_bytes -= chunk->length;
    free(chunk);
  }
  if (process->in_pending && process->in_bytes <= STDIN_BUFFER_BYTES) {
    process->in_pending = false;
    reply_taken(process->in_asker, process->in_taken);
  }
  if (process->in_head != NULL) return;
  if (process->in_closing && !process->pty) stdin_end(process);
  else source_watch(&process->in, 0);
}

static void ready(struct source *source, uint32_t events) {
  (void)events;
  push(source->owner);
}

void stdin_open(struct process *process, int fd) {
  source_init(&process->in, fd, ready, process);
  process->in_at_line_start = true;
}

void process_write_stdin(struct asker asker, const struct stdin_request *request) {
  struct process *process = process_find(request->process);
  if (process == NULL) {
    reply_error(asker, REPLY_NOT_FOUND, "no such process");
    return;
  }
  /* What came before: a host that did not hear of it sends it again. */
  size_t known = process->in_taken > request->offset ? (size_t)(process->in_taken - request->offset) : 0;
  if (known > request->length) known = request->length;
  const uint8_t *data = request->data + known;
  size_t length = request->length - known;
  bool closed = process->in.fd < 0 || process->in_closing;
  if (request->offset > process->in_taken) {
    reply_error(asker, REPLY_FAILED_PRECONDITION, "bytes of stdin are missing before these");
  } else if (closed && known > 0 && length == 0) {
    reply_taken(asker, process->in_taken);
  } else if (closed) {
    reply_error(asker, REPLY_FAILED_PRECONDITION, "stdin is closed");
  } else if ((process->in_pending && process->in_asker.connection == asker.connection) || total_bytes + length > STDIN_TOTAL_BYTES ||
             !append(process, data, length)) {
    reply_error(asker, REPLY_RESOURCE_EXHAUSTED, "too much stdin is waiting");
  } else {
    if (length > 0) process->in_at_line_start = data[length - 1] == '\n';
    process->in_taken += length;
    /* One that still waits is of a connection that is over: nobody hears its answer. */
    process->in_pending = true;
    process->in_asker = asker;
    push(process);
  }
}

void process_close_stdin(struct asker asker, uint32_t id) {
  struct process *process = process_find(id);
  if (process == NULL) {
    reply_error(asker, REPLY_NOT_FOUND, "no such process");
    return;
  }
  if (process->in.fd >= 0 && !process->in_closing) {
    process->in_closing = true;
    if (process->pty) append_terminal_eof(process);
    push(process);
  }
  reply_ok(asker);
}
