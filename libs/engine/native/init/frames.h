#ifndef SANDBAR_FRAMES_H
#define SANDBAR_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
  uint8_t type;
  uint8_t flags;
  uint32_t id;
  uint64_t seq;
  const uint8_t *payload;
  uint32_t length;
};

/* 1: a frame, whose payload points into `bytes`, and how many bytes it took. 0: more bytes are needed. -1: not a frame. */
int frame_decode(const uint8_t *bytes, size_t available, struct frame *out, size_t *consumed);

void frame_header(uint8_t *out, uint8_t type, uint8_t flags, uint32_t id, uint64_t seq, uint32_t length);
void frame_set_seq(uint8_t *frame, uint64_t seq);

void put_u16(uint8_t *out, uint16_t value);
void put_u32(uint8_t *out, uint32_t value);
void put_u64(uint8_t *out, uint64_t value);

/* Takes values off the front of a payload. Reading past the end yields zeros and sets `failed`, for good. */
struct reader {
  const uint8_t *at;
  size_t left;
  bool failed;
};

struct reader reader_of(const struct frame *frame);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
const uint8_t *read_bytes(struct reader *reader, size_t length);
/* Every byte was wanted and was there. */
bool reader_done(const struct reader *reader);

#endif
