#include "wire.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

#define BUFFER_BYTES ((size_t)256 * 1024)
#define MAX_FRAME ((size_t)8 * 1024 * 1024)
#define DATA_HEAD ((size_t)4 + 1 + 8)

static const uint8_t *take(struct reader *r, size_t size) {
  if ((size_t)(r->end - r->at) < size) fail(EBADMSG, "read a frame", "");
  const uint8_t *at = r->at;
  r->at += size;
  return at;
}

uint8_t read_u8(struct reader *r) { return *take(r, 1); }

uint32_t read_u32(struct reader *r) {
  uint32_t value;
  memcpy(&value, take(r, sizeof value), sizeof value);
  return le32toh(value);
}

uint64_t read_u64(struct reader *r) {
  uint64_t value;
  memcpy(&value, take(r, sizeof value), sizeof value);
  return le64toh(value);
}

const uint8_t *read_blob(struct reader *r, size_t *size) {
  *size = read_u32(r);
  return take(r, *size);
}

const char *read_string(struct reader *r) {
  size_t size;
  const uint8_t *at = read_blob(r, &size);
  /* On the wire a string ends with its only NUL. */
  if (size == 0 || memchr(at, 0, size) != at + size - 1) fail(EBADMSG, "read a frame", "");
  return (const char *)at;
}

static uint8_t *input;
static size_t input_room, input_at, input_end;
static size_t data_left;

static void fill(size_t wanted) {
  if (input_end - input_at >= wanted) return;
  if (input_at > 0) {
    memmove(input, input + input_at, input_end - input_at);
    input_end -= input_at;
    input_at = 0;
  }
  if (input_room < wanted || input_room == 0) {
    input_room = wanted > BUFFER_BYTES ? wanted : BUFFER_BYTES;
    input = realloc(input, input_room);
    if (input == NULL) fail(ENOMEM, "read a frame", "");
  }
  while (input_end < wanted) {
    ssize_t got = read(STDIN_FILENO, input + input_end, input_room - input_end);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(got == 0 ? EPIPE : errno, "read a frame", "");
    input_end += (size_t)got;
  }
}

uint8_t next_frame(struct reader *body) {
  const uint8_t *rest;
  while (read_data(&rest) > 0) {
  }
  fill(5);
  struct reader head = {.at = input + input_at, .end = input + input_at + 5};
  size_t size = read_u32(&head);
  uint8_t kind = read_u8(&head);
  if (size == 0 || (kind == FRAME_DATA && size < 1 + 8)) fail(EBADMSG, "read a frame", "");
  size_t held = kind == FRAME_DATA ? 1 + 8 : size;
  if (held > MAX_FRAME) fail(EMSGSIZE, "read a frame", "");
  fill(4 + held);
  body->at = input + input_at + 5;
  body->end = input + input_at + 4 + held;
  input_at += 4 + held;
  data_left = size - held;
  return kind;
}

size_t read_data(const uint8_t **bytes) {
  if (data_left == 0) return 0;
  fill(1);
  size_t size = input_end - input_at < data_left ? input_end - input_at : data_left;
  *bytes = input + input_at;
  input_at += size;
  data_left -= size;
  return size;
}

void append(struct buffer *b, const void *bytes, size_t size) {
  if (b->room - b->size < size) {
    size_t room = b->room == 0 ? 4096 : b->room;
    while (room - b->size < size) room *= 2;
    b->data = realloc(b->data, room);
    if (b->data == NULL) fail(ENOMEM, "write a frame", "");
    b->room = room;
  }
  if (size > 0) memcpy(b->data + b->size, bytes, size);
  b->size += size;
}

void append_u8(struct buffer *b, uint8_t value) { append(b, &value, sizeof value); }

void append_u32(struct buffer *b, uint32_t value) {
  uint32_t wire = htole32(value);
  append(b, &wire, sizeof wire);
}

void append_u64(struct buffer *b, uint64_t value) {
  uint64_t wire = htole64(value);
  append(b, &wire, sizeof wire);
}

void append_blob(struct buffer *b, const void *bytes, size_t size) {
  append_u32(b, (uint32_t)size);
  append(b, bytes, size);
}

void append_string(struct buffer *b, const char *text) { append_blob(b, text, strlen(text) + 1); }

static uint8_t output[BUFFER_BYTES];
static size_t output_size;

static void write_all(const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t put = write(STDOUT_FILENO, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    /* Nobody listens any more: there is nobody to tell either. */
    if (put <= 0) _exit(1);
    bytes += put;
    size -= (size_t)put;
  }
}

void flush_output(void) {
  write_all(output, output_size);
  output_size = 0;
}

void begin_frame(struct buffer *b, uint8_t kind) {
  b->size = 0;
  append_u32(b, 0);
  append_u8(b, kind);
}

void send_frame(struct buffer *b) {
  uint32_t length = htole32((uint32_t)(b->size - 4));
  memcpy(b->data, &length, sizeof length);
  if (b->size > sizeof output - output_size) flush_output();
  if (b->size > sizeof output) {
    write_all(b->data, b->size);
    return;
  }
  memcpy(output + output_size, b->data, b->size);
  output_size += b->size;
}

uint8_t *reserve_data(size_t size) {
  if (DATA_HEAD + size > sizeof output - output_size) flush_output();
  return output + output_size + DATA_HEAD;
}

void send_data(uint64_t offset, size_t size) {
  uint32_t length = htole32((uint32_t)(DATA_HEAD - 4 + size));
  uint64_t place = htole64(offset);
  uint8_t *head = output + output_size;
  memcpy(head, &length, sizeof length);
  head[4] = FRAME_DATA;
  memcpy(head + 5, &place, sizeof place);
  output_size += DATA_HEAD + size;
}
