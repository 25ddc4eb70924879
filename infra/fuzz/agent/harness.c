/*
 * A hostile host against the agent's connection: handshake, frames, every request decoder, acknowledgements, take-over. Behind the
 * requests stand checks that touch every byte a request points to, so that the sanitizers see each length that lies.
 * The first byte of an input says how it is cut into pieces and whether the harness greets first.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "files.h"
#include "loop.h"

static volatile uint32_t sink;
static struct asker held;
static bool uploading;

static void touch(const void *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) sink += ((const uint8_t *)bytes)[i];
}

static void touch_strings(const struct strings *strings) {
  const char *at = strings->first;
  for (uint32_t i = 0; i < strings->count; i++, at += strlen(at) + 1) touch(at, strlen(at));
}

void process_start(struct asker asker, const struct start_request *request) {
  if (request->argv.count == 0 || request->gid_count > MAX_GIDS || request->limit_count > MAX_RLIMITS || request->cwd[0] != '/') abort();
  touch(request->cwd, strlen(request->cwd) + 1);
  touch_strings(&request->argv);
  touch_strings(&request->env);
  for (uint32_t i = 0; i < request->expected_count; i++) {
    if (i >= MAX_EXPECTED || request->expected[i].path[0] != '/') abort();
    touch(request->expected[i].path, strlen(request->expected[i].path) + 1);
    touch(request->expected[i].content, request->expected[i].length);
  }
  touch(request->gids, request->gid_count * sizeof *request->gids);
  for (uint32_t i = 0; i < request->limit_count; i++) sink += request->limits[i].resource + (uint32_t)request->limits[i].soft + (uint32_t)request->limits[i].hard;
  /* Answered late, perhaps to a connection that is gone. */
  held = asker;
}

void process_write_stdin(struct asker asker, const struct stdin_request *request) {
  touch(request->data, request->length);
  if (request->offset > MAX_STDIN_OFFSET) abort();
  if ((request->offset & 1) != 0) reply_error(asker, REPLY_RESOURCE_EXHAUSTED, "%zu bytes", request->length);
  else reply_taken(asker, request->offset + request->length);
}

void process_close_stdin(struct asker asker, uint32_t id) {
  if (id == 0 || id > INT32_MAX) abort();
  reply_ok(asker);
}

void process_signal(struct asker asker, const struct signal_request *request) {
  if (request->signal < 1 || request->signal > 64) abort();
  reply_ok(held);
  reply_ok(asker);
}

void process_resize(struct asker asker, const struct resize_request *request) {
  sink += request->columns;
  reply_ok(asker);
}

void process_flow(struct asker asker, const struct flow_request *request) {
  if (request->process == 0 || request->process > INT32_MAX) abort();
  sink += request->hold;
  reply_ok(asker);
}

void process_kill_all(struct asker asker) {
  reply_ok(asker);
}

void processes_resume(void) {}
void processes_disconnected(uint64_t connection) { sink += (uint32_t)connection; }
uint32_t processes_highest(void) { return sink; }
void process_event_held(struct event *event) { sink += event->charge; }
void process_event_released(struct event *event) { touch(event->frame, event->frame_bytes); }

static void touch_path(const char *path) {
  if (path[0] != '/' || strstr(path, "/../") != NULL || strlen(path) > MAX_PATH_BYTES) abort();
}

bool file_write(struct asker asker, const struct write_file_request *request, bool more) {
  if (uploading) return false;
  touch_path(request->path);
  touch(request->data, request->length);
  uploading = more;
  if (!more) reply_ok(asker);
  return true;
}

bool file_write_more(struct asker asker, const uint8_t *data, size_t length, bool more) {
  if (!uploading) return false;
  touch(data, length);
  uploading = more;
  if (!more) reply_ok(asker);
  return true;
}

static unsigned reads;
void file_read(struct asker asker, const struct read_file_request *request) {
  touch_path(request->path);
  held = asker;
  reads++;
}

bool file_reads_pending(void) { return reads > 0; }

size_t file_read_next(uint8_t *out) {
  reads--;
  memset(out + HEADER_BYTES, 7, MAX_CHUNK_BYTES);
  frame_header(out, FRAME_FILE_DATA, 0, held.request, 0, MAX_CHUNK_BYTES);
  reply_ok(held);
  return HEADER_BYTES + MAX_CHUNK_BYTES;
}

void files_reset(void) {
  uploading = false;
  reads = 0;
}

static void turn(int host) {
  static uint8_t drain[1 << 16];
  loop_turn(0);
  connection_flush();
  connection_tick();
  while (recv(host, drain, sizeof drain, MSG_DONTWAIT) > 0) continue;
}

static int join(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) abort();
  connection_adopt(pair[0]);
  return pair[1];
}

static void greet(int host) {
  uint8_t hello[HEADER_BYTES + 16];
  frame_header(hello, FRAME_HELLO, 0, 0, 0, 16);
  put_u32(hello + HEADER_BYTES, PROTOCOL_MAGIC);
  put_u32(hello + HEADER_BYTES + 4, PROTOCOL_VERSION);
  put_u64(hello + HEADER_BYTES + 8, 0);
  if (send(host, hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello) abort();
}

static void emit(uint32_t length) {
  struct event *event = events_new_output(NULL);
  memset(output_data(event), 42, length);
  events_append_output(event, 1, FLAG_STDOUT, 1, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool open;
  if (!open) {
    int unused[2];
    if (!loop_open() || socketpair(AF_UNIX, SOCK_STREAM, 0, unused) < 0 || !listener_open(unused[0])) abort();
    open = true;
  }
  if (size == 0) return 0;
  uint8_t plan = data[0];
  size_t piece = (plan & 0x3f) == 0 ? size : (size_t)(plan & 0x3f) * 7;
  if (events_next() - events_oldest() < 8) emit(plan == 0x7f ? MAX_CHUNK_BYTES : plan);
  int host = join();
  if (plan & 0x40) greet(host);
  if (plan & 0x80) {
    /* A connection that never says a word takes over, then is taken over. */
    int silent = join();
    turn(silent);
    close(silent);
    close(host);
    host = join();
    greet(host);
  }
  for (size_t at = 1; at < size; at += piece) {
    size_t length = size - at < piece ? size - at : piece;
    if (send(host, data + at, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    turn(host);
  }
  close(host);
  for (int i = 0; i < 3; i++) {
    loop_turn(0);
    connection_flush();
  }
  return 0;
}
