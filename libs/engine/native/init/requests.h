/* What the host asks for, taken out of frames. Pure: strings and data point into the frame. */
#ifndef SANDBAR_REQUESTS_H
#define SANDBAR_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "protocol.h"

/* `count` strings, each ended by a NUL, one behind the other. */
struct strings {
  const char *first;
  uint32_t count;
};

struct limit {
  uint32_t resource;
  uint64_t soft;
  uint64_t hard;
};

/* What a read of the file is to give: nothing when it cannot be read. */
struct expected_file {
  const char *path;
  const uint8_t *content;
  uint32_t length;
};

struct start_request {
  uint32_t process;
  bool pty;
  bool with_stdin;
  bool privileged;
  bool tied;
  uint32_t uid;
  uint32_t gid;
  uint16_t columns;
  uint16_t rows;
  uint32_t gid_count;
  uint32_t limit_count;
  uint32_t gids[MAX_GIDS];
  struct limit limits[MAX_RLIMITS];
  const char *cwd;
  struct strings argv;
  struct strings env;
  uint32_t expected_count;
  struct expected_file expected[MAX_EXPECTED];
};

struct hello_request {
  uint32_t version;
  uint64_t after;
};

struct stdin_request {
  uint32_t process;
  /* Of the first byte of `data` in the whole of the process's stdin. */
  uint64_t offset;
  const uint8_t *data;
  size_t length;
};

struct signal_request {
  uint32_t process;
  uint32_t signal;
  bool alone;
};

struct resize_request {
  uint32_t process;
  uint16_t columns;
  uint16_t rows;
};

struct flow_request {
  uint32_t process;
  bool hold;
};

struct write_file_request {
  const char *path;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  const uint8_t *data;
  size_t length;
};

struct read_file_request {
  const char *path;
  uint64_t max_bytes;
};

/* Each: NULL when the request is sound, else what is wrong with it. */
const char *decode_hello(const struct frame *frame, struct hello_request *out);
const char *decode_start(const struct frame *frame, struct start_request *out);
const char *decode_stdin(const struct frame *frame, struct stdin_request *out);
const char *decode_process(const struct frame *frame, uint32_t *process);
const char *decode_signal(const struct frame *frame, struct signal_request *out);
const char *decode_resize(const struct frame *frame, struct resize_request *out);
const char *decode_flow(const struct frame *frame, struct flow_request *out);
const char *decode_write_file(const struct frame *frame, struct write_file_request *out);
const char *decode_read_file(const struct frame *frame, struct read_file_request *out);

#endif
