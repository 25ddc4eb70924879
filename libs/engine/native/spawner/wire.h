#ifndef SANDBAR_SPAWNER_WIRE_H
#define SANDBAR_SPAWNER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are little-endian. The layout of the frames is in docs/engine/spawner-protocol.md. */

/* Reads fields out of a frame that stays in memory; `bad` once anything did not fit. */
struct reader {
  const uint8_t *at;
  const uint8_t *end;
  bool bad;
};

uint8_t read_u8(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* A pointer into the frame. "" when bad. */
const char *read_string(struct reader *r);
/* Bytes of any value; a pointer into the frame. */
const uint8_t *read_blob(struct reader *r, size_t *size);
/* Strings and a last NULL; never freed. */
char **read_list(struct reader *r, size_t *count);

/* A growing buffer of bytes to be written. */
struct buffer {
  uint8_t *data;
  size_t size;
  size_t room;
};

void append(struct buffer *b, const void *bytes, size_t size);
void append_u8(struct buffer *b, uint8_t value);
void append_u32(struct buffer *b, uint32_t value);
void append_blob(struct buffer *b, const void *bytes, size_t size);
/* Takes `size` bytes off the front. */
void consume(struct buffer *b, size_t size);

#endif
