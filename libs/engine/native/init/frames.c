#include "frames.h"

#include "protocol.h"

void put_u16(uint8_t *out, uint16_t value) {
  out[0] = (uint8_t)value;
  out[1] = (uint8_t)(value >> 8);
}

void put_u32(uint8_t *out, uint32_t value) {
  put_u16(out, (uint16_t)value);
  put_u16(out + 2, (uint16_t)(value >> 16));
}

void put_u64(uint8_t *out, uint64_t value) {
  put_u32(out, (uint32_t)value);
  put_u32(out + 4, (uint32_t)(value >> 32));
}

const uint8_t *read_bytes(struct reader *reader, size_t length) {
  if (reader->failed || length > reader->left) {
    reader->failed = true;
    return NULL;
  }
  const uint8_t *bytes = reader->at;
  reader->at += length;
  reader->left -= length;
  return bytes;
}

uint16_t read_u16(struct reader *reader) {
  const uint8_t *bytes = read_bytes(reader, 2);
  return bytes == NULL ? 0 : (uint16_t)(bytes[0] | bytes[1] << 8);
}

uint32_t read_u32(struct reader *reader) {
  const uint8_t *bytes = read_bytes(reader, 4);
  if (bytes == NULL) return 0;
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint64_t read_u64(struct reader *reader) {
  uint64_t low = read_u32(reader);
  uint64_t high = read_u32(reader);
  return low | high << 32;
}

struct reader reader_of(const struct frame *frame) {
  return (struct reader){.at = frame->payload, .left = frame->length, .failed = false};
}

bool reader_done(const struct reader *reader) {
  return !reader->failed && reader->left == 0;
}

int frame_decode(const uint8_t *bytes, size_t available, struct frame *out, size_t *consumed) {
  if (available < HEADER_BYTES) return 0;
  struct reader header = {.at = bytes, .left = HEADER_BYTES, .failed = false};
  uint32_t length = read_u32(&header);
  uint16_t kind = read_u16(&header);
  uint16_t reserved = read_u16(&header);
  out->type = (uint8_t)kind;
  out->flags = (uint8_t)(kind >> 8);
  out->id = read_u32(&header);
  out->seq = read_u64(&header);
  if (length > MAX_PAYLOAD_BYTES || reserved != 0) return -1;
  if (available - HEADER_BYTES < length) return 0;
  out->payload = bytes + HEADER_BYTES;
  out->length = length;
  *consumed = HEADER_BYTES + (size_t)length;
  return 1;
}

void frame_set_seq(uint8_t *frame, uint64_t seq) {
  put_u64(frame + 12, seq);
}

void frame_header(uint8_t *out, uint8_t type, uint8_t flags, uint32_t id, uint64_t seq, uint32_t length) {
  put_u32(out, length);
  out[4] = type;
  out[5] = flags;
  put_u16(out + 6, 0);
  put_u32(out + 8, id);
  frame_set_seq(out, seq);
}
