#define _GNU_SOURCE
#include "wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *take(struct reader *r, size_t size) {
  if (r->bad || (size_t)(r->end - r->at) < size) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += size;
  return at;
}

uint8_t read_u8(struct reader *r) {
  const uint8_t *at = take(r, sizeof *at);
  return at == NULL ? 0 : *at;
}

uint32_t read_u32(struct reader *r) {
  uint32_t value = 0;
  const uint8_t *at = take(r, sizeof value);
  if (at != NULL) memcpy(&value, at, sizeof value);
  return le32toh(value);
}

uint64_t read_u64(struct reader *r) {
  uint64_t value = 0;
  const uint8_t *at = take(r, sizeof value);
  if (at != NULL) memcpy(&value, at, sizeof value);
  return le64toh(value);
}

const uint8_t *read_blob(struct reader *r, size_t *size) {
  *size = read_u32(r);
  const uint8_t *at = take(r, *size);
  if (at == NULL) *size = 0;
  return at;
}

const char *read_string(struct reader *r) {
  size_t size = 0;
  const uint8_t *at = read_blob(r, &size);
  /* On the wire a string ends with its only NUL. */
  if (at == NULL || size == 0 || memchr(at, 0, size) != at + size - 1) {
    r->bad = true;
    return "";
  }
  return (const char *)at;
}

char **read_list(struct reader *r, size_t *count) {
  size_t items = read_u32(r);
  /* Every string takes at least five bytes: no frame can make us allocate more than a small multiple of itself. */
  if (items > (size_t)(r->end - r->at) / 5) r->bad = true;
  if (r->bad) items = 0;
  char **list = calloc(items + 1, sizeof *list);
  if (list == NULL) abort();
  for (size_t i = 0; i < items; i++) list[i] = (char *)(uintptr_t)read_string(r);
  if (count != NULL) *count = items;
  return list;
}

void append(struct buffer *b, const void *bytes, size_t size) {
  if (size == 0) return;
  if (b->room - b->size < size) {
    size_t room = b->room == 0 ? 4096 : b->room;
    while (room - b->size < size) room *= 2;
    uint8_t *data = realloc(b->data, room);
    if (data == NULL) abort();
    b->data = data;
    b->room = room;
  }
  memcpy(b->data + b->size, bytes, size);
  b->size += size;
}

void append_u8(struct buffer *b, uint8_t value) { append(b, &value, sizeof value); }

void append_u32(struct buffer *b, uint32_t value) {
  uint32_t wire = htole32(value);
  append(b, &wire, sizeof wire);
}

void append_blob(struct buffer *b, const void *bytes, size_t size) {
  append_u32(b, (uint32_t)size);
  append(b, bytes, size);
}

void consume(struct buffer *b, size_t size) {
  b->size -= size;
  memmove(b->data, b->data + size, b->size);
  if (b->size == 0 && b->room > 1 << 20) {
    free(b->data);
    *b = (struct buffer){0};
  }
}
