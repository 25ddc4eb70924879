#include "requests.h"

#include <string.h>

static const char *const malformed = "malformed request";

static bool process_id_valid(uint32_t id) {
  return id >= 1 && id <= INT32_MAX;
}

/* (uid_t)-1 means "unchanged" to the kernel, so it must never come from outside. */
static bool owner_valid(uint32_t id) {
  return id != UINT32_MAX;
}

/* A NUL-terminated string that fills its `length` bytes exactly. */
static const char *read_string(struct reader *reader, uint32_t length) {
  const uint8_t *bytes = read_bytes(reader, length);
  if (bytes == NULL || length == 0 || memchr(bytes, 0, length) != bytes + length - 1) return NULL;
  return (const char *)bytes;
}

static bool read_strings(struct reader *reader, uint32_t length, struct strings *out) {
  const uint8_t *bytes = read_bytes(reader, length);
  out->first = (const char *)bytes;
  out->count = 0;
  if (length == 0) return true;
  if (bytes == NULL || bytes[length - 1] != 0) return false;
  for (uint32_t i = 0; i < length; i++) out->count += bytes[i] == 0;
  return out->count <= MAX_STRINGS;
}

/* No "." and "..": the components are walked one by one, and nothing may lead upwards. */
static const char *path_fault(const char *path) {
  if (path == NULL || strlen(path) > MAX_PATH_BYTES) return "malformed path";
  if (path[0] != '/') return "the path must be absolute";
  for (const char *at = path; at != NULL; at = strchr(at, '/')) {
    at++;
    size_t length = strcspn(at, "/");
    if (at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.'))) return "the path must not hold '.' or '..'";
  }
  return NULL;
}

const char *decode_hello(const struct frame *frame, struct hello_request *out) {
  struct reader reader = reader_of(frame);
  uint32_t magic = read_u32(&reader);
  out->version = read_u32(&reader);
  out->after = read_u64(&reader);
  return reader_done(&reader) && magic == PROTOCOL_MAGIC ? NULL : malformed;
}

static const char *decode_expected(struct reader *reader, struct start_request *out) {
  out->expected_count = read_u32(reader);
  if (out->expected_count > MAX_EXPECTED) return "too many files";
  for (uint32_t i = 0; i < out->expected_count; i++) {
    struct expected_file *file = &out->expected[i];
    uint32_t path_bytes = read_u32(reader);
    file->length = read_u32(reader);
    file->path = read_string(reader, path_bytes);
    file->content = read_bytes(reader, file->length);
    if (reader->failed) return malformed;
    const char *fault = path_fault(file->path);
    if (fault != NULL) return fault;
  }
  return NULL;
}

const char *decode_start(const struct frame *frame, struct start_request *out) {
  struct reader reader = reader_of(frame);
  out->process = read_u32(&reader);
  uint32_t flags = read_u32(&reader);
  out->uid = read_u32(&reader);
  out->gid = read_u32(&reader);
  out->columns = read_u16(&reader);
  out->rows = read_u16(&reader);
  out->gid_count = read_u16(&reader);
  out->limit_count = read_u16(&reader);
  uint32_t cwd_bytes = read_u32(&reader);
  uint32_t argv_bytes = read_u32(&reader);
  uint32_t env_bytes = read_u32(&reader);
  if (reader.failed || (flags & ~(START_PTY | START_STDIN | START_PRIVILEGED | START_TIED | START_EXPECTS)) != 0) return malformed;
  out->pty = (flags & START_PTY) != 0;
  out->with_stdin = (flags & START_STDIN) != 0;
  out->privileged = (flags & START_PRIVILEGED) != 0;
  out->tied = (flags & START_TIED) != 0;
  if (!process_id_valid(out->process)) return "process id out of range";
  if (!owner_valid(out->uid) || !owner_valid(out->gid)) return "uid or gid out of range";
  if (out->gid_count > MAX_GIDS || out->limit_count > MAX_RLIMITS) return "too many groups or limits";
  for (uint32_t i = 0; i < out->gid_count; i++) {
    out->gids[i] = read_u32(&reader);
    if (!owner_valid(out->gids[i])) return "gid out of range";
  }
  for (uint32_t i = 0; i < out->limit_count; i++) {
    out->limits[i].resource = read_u32(&reader);
    out->limits[i].soft = read_u64(&reader);
    out->limits[i].hard = read_u64(&reader);
  }
  out->cwd = read_string(&reader, cwd_bytes);
  if (out->cwd == NULL || strlen(out->cwd) > MAX_PATH_BYTES) return "malformed working directory";
  if (out->cwd[0] != '/') return "the working directory must be absolute";
  if (!read_strings(&reader, argv_bytes, &out->argv) || !read_strings(&reader, env_bytes, &out->env)) return "malformed or too many arguments";
  out->expected_count = 0;
  const char *fault = (flags & START_EXPECTS) != 0 ? decode_expected(&reader, out) : NULL;
  if (fault != NULL) return fault;
  if (!reader_done(&reader)) return malformed;
  if (out->argv.count == 0 || out->argv.first[0] == 0) return "no program given";
  return NULL;
}

const char *decode_stdin(const struct frame *frame, struct stdin_request *out) {
  struct reader reader = reader_of(frame);
  out->process = read_u32(&reader);
  out->offset = read_u64(&reader);
  out->data = reader.at;
  out->length = reader.left;
  if (reader.failed || !process_id_valid(out->process)) return malformed;
  return out->offset <= MAX_STDIN_OFFSET ? NULL : "offset out of range";
}

const char *decode_process(const struct frame *frame, uint32_t *process) {
  struct reader reader = reader_of(frame);
  *process = read_u32(&reader);
  return reader_done(&reader) && process_id_valid(*process) ? NULL : malformed;
}

const char *decode_signal(const struct frame *frame, struct signal_request *out) {
  struct reader reader = reader_of(frame);
  out->process = read_u32(&reader);
  out->signal = read_u32(&reader);
  out->alone = (frame->flags & FLAG_ALONE) != 0;
  if (!reader_done(&reader) || !process_id_valid(out->process)) return malformed;
  return out->signal >= 1 && out->signal <= 64 ? NULL : "signal out of range";
}

const char *decode_resize(const struct frame *frame, struct resize_request *out) {
  struct reader reader = reader_of(frame);
  out->process = read_u32(&reader);
  out->columns = read_u16(&reader);
  out->rows = read_u16(&reader);
  return reader_done(&reader) && process_id_valid(out->process) ? NULL : malformed;
}

const char *decode_flow(const struct frame *frame, struct flow_request *out) {
  out->hold = (frame->flags & FLAG_HOLD) != 0;
  return decode_process(frame, &out->process);
}

const char *decode_write_file(const struct frame *frame, struct write_file_request *out) {
  struct reader reader = reader_of(frame);
  out->mode = read_u32(&reader);
  out->uid = read_u32(&reader);
  out->gid = read_u32(&reader);
  out->path = read_string(&reader, read_u32(&reader));
  out->data = reader.at;
  out->length = reader.left;
  if (reader.failed) return malformed;
  if (out->mode > 07777) return "mode out of range";
  if (!owner_valid(out->uid) || !owner_valid(out->gid)) return "uid or gid out of range";
  return path_fault(out->path);
}

const char *decode_read_file(const struct frame *frame, struct read_file_request *out) {
  struct reader reader = reader_of(frame);
  out->max_bytes = read_u64(&reader);
  out->path = read_string(&reader, read_u32(&reader));
  return reader_done(&reader) ? path_fault(out->path) : malformed;
}
