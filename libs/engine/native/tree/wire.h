#ifndef SANDBAR_TREE_WIRE_H
#define SANDBAR_TREE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames on stdin and stdout. Numbers are little-endian; the layout is in docs/engine/tree-protocol.md. */

enum { FRAME_RESULT = 0, FRAME_ENTRY = 1, FRAME_DATA = 2, FRAME_END = 3, FRAME_CHANGE = 4, FRAME_FOUND = 5, FRAME_EVENT = 6 };

/* Reads fields out of a frame. A field that does not fit ends the program. */
struct reader {
  const uint8_t *at;
  const uint8_t *end;
};

uint8_t read_u8(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* Pointers into the frame. */
const char *read_string(struct reader *r);
const uint8_t *read_blob(struct reader *r, size_t *size);

/* The next frame's kind. Its body is in `body`, which the next call overwrites; of FRAME_DATA only its offset is, the bytes come by `read_data`. */
uint8_t next_frame(struct reader *body);
/* Some more of the data frame's bytes; 0 at its end. They stay until the next call. */
size_t read_data(const uint8_t **bytes);

/* A growing frame. */
struct buffer {
  uint8_t *data;
  size_t size;
  size_t room;
};

void append(struct buffer *b, const void *bytes, size_t size);
void append_u8(struct buffer *b, uint8_t value);
void append_u32(struct buffer *b, uint32_t value);
void append_u64(struct buffer *b, uint64_t value);
void append_string(struct buffer *b, const char *text);
void append_blob(struct buffer *b, const void *bytes, size_t size);

void begin_frame(struct buffer *b, uint8_t kind);
void send_frame(struct buffer *b);
/* Room in the output for a data frame of at most `size` bytes; what was put there goes out with `send_data`. */
uint8_t *reserve_data(size_t size);
void send_data(uint64_t offset, size_t size);
void flush_output(void);

#endif
