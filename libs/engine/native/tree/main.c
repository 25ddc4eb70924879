/*
 * sandbar-tree: one operation on a tree of files. The request comes on stdin, the answer goes to stdout (docs/engine/tree-protocol.md).
 * It enters the tree's root before it looks at anything in it, and no name in the tree is ever resolved outside of that root.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "found.h"
#include "sandbox.h"
#include "store.h"
#include "tree.h"
#include "watch.h"

enum operation {
  OP_WRITE = 16,
  OP_READ = 17,
  OP_CHANGES = 18,
  OP_USAGE = 19,
  OP_REMOVE = 20,
  OP_SYNC = 21,
  OP_STAT = 22,
  OP_LIST = 23,
  OP_RANGE = 24,
  OP_STORE = 25,
  OP_MKDIR = 26,
  OP_MOVE = 27,
  OP_DELETE = 28,
  OP_WATCH = 29,
};
enum flag { FLAG_LAYER = 1, FLAG_STRICT = 2, FLAG_SANDBOX = 4, FLAG_SAME_KINDS = 8, FLAG_RECURSIVE = 16 };

struct request {
  uint8_t operation, flags;
  char *root, *path;
  const char *dirs[MAX_LOWERS];
  size_t dir_count;
  /* Of the operation alone. */
  int64_t from;
  uint64_t length;
  char *to;
  struct attributes attributes;
};

static void report(int error, const char *step, const char *path, uint64_t bytes, uint64_t inodes) {
  static struct buffer frame;
  begin_frame(&frame, FRAME_RESULT);
  append_u32(&frame, (uint32_t)error);
  append_string(&frame, step);
  append_string(&frame, path);
  append_u64(&frame, bytes);
  append_u64(&frame, inodes);
  send_frame(&frame);
  flush_output();
}

_Noreturn void fail(int error, const char *step, const char *path) {
  static bool failing;
  if (failing) _exit(2);
  failing = true;
  abandon_store();
  report(error == 0 ? EIO : error, step, path, 0, 0);
  _exit(1);
}

static char *copy_string(struct reader *r) {
  char *copy = strdup(read_string(r));
  if (copy == NULL) fail(ENOMEM, "read the request", "");
  return copy;
}

static struct request read_request(void) {
  struct reader body;
  struct request request = {.operation = next_frame(&body)};
  request.flags = read_u8(&body);
  request.root = copy_string(&body);
  request.path = copy_string(&body);
  request.dir_count = read_u32(&body);
  if (request.dir_count > MAX_LOWERS) fail(E2BIG, "read the request", "");
  for (size_t i = 0; i < request.dir_count; i++) request.dirs[i] = copy_string(&body);
  if (request.operation == OP_RANGE) {
    request.from = (int64_t)read_u64(&body);
    request.length = read_u64(&body);
  } else if (request.operation == OP_STORE || request.operation == OP_MKDIR) {
    request.attributes = (struct attributes){.mode = read_u32(&body), .uid = read_u32(&body), .gid = read_u32(&body)};
  } else if (request.operation == OP_MOVE) {
    request.to = copy_string(&body);
  }
  return request;
}

static void open_lowers(const struct request *request) {
  for (size_t i = 0; i < request->dir_count; i++) lower_fds[i] = open_host_dir(request->dirs[i], "open a layer");
  lower_count = request->dir_count;
}

/* The last name goes, the folders above it are the node's own. */
static void remove_path(char *path) {
  char *slash = strrchr(path, '/');
  if (slash == NULL || slash[1] == '\0' || strcmp(slash + 1, ".") == 0 || strcmp(slash + 1, "..") == 0) fail(EINVAL, "remove", path);
  *slash = '\0';
  int parent = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0 && errno == ENOENT) return;
  if (parent < 0 || remove_at(parent, slash + 1) < 0) fail(errno, "remove", slash + 1);
}

static void sync_path(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail(errno, "open the root", path);
  if (syncfs(fd) < 0) fail(errno, "sync", path);
}

static void enter(const struct request *request) {
  if ((request->flags & FLAG_SANDBOX) != 0) enter_sandbox(request->root, request->dirs, request->dir_count);
  else enter_directory(request->root);
}

/* One on files by their names, in a tree that somebody lives in. */
static void carry_out(const struct request *request) {
  const bool strict = (request->flags & FLAG_STRICT) != 0, recursive = (request->flags & FLAG_RECURSIVE) != 0;
  enter(request);
  switch (request->operation) {
    case OP_STAT: return stat_path(request->path);
    case OP_LIST: return list_path(request->path);
    case OP_RANGE: return read_range(request->path, request->from, request->length);
    case OP_STORE: return store_file(request->path, &request->attributes, !strict);
    case OP_MKDIR: return make_directory(request->path, &request->attributes, recursive);
    case OP_MOVE: return move_path(request->path, request->to, !strict);
    case OP_DELETE: return delete_path(request->path, recursive);
    case OP_WATCH: return watch_path(request->path, recursive);
    default: fail(EBADMSG, "read the request", "");
  }
}

int main(void) {
  umask(0);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  /* A write past the file size limit is an error like any other. */
  signal(SIGXFSZ, SIG_IGN);
  struct request request = read_request();
  const bool layer = (request.flags & FLAG_LAYER) != 0, strict = (request.flags & FLAG_STRICT) != 0;
  uint64_t bytes = 0, inodes = 0;
  open_proc();
  switch (request.operation) {
    case OP_WRITE:
      if ((request.flags & FLAG_SANDBOX) == 0) open_lowers(&request);
      enter(&request);
      bytes = write_tree(layer, strict, (request.flags & FLAG_SAME_KINDS) != 0, request.path);
      break;
    case OP_READ:
      if (request.root[0] != '\0') enter(&request);
      else enter_overlay(request.dirs, request.dir_count);
      read_tree(layer, strict, request.path);
      break;
    case OP_CHANGES:
      open_lowers(&request);
      enter_directory(request.root);
      list_changes();
      break;
    case OP_USAGE:
      enter_directory(request.root);
      measure(&bytes, &inodes);
      break;
    case OP_REMOVE: remove_path(request.root); break;
    case OP_SYNC: sync_path(request.root); break;
    default: carry_out(&request);
  }
  report(0, "", "", bytes, inodes);
  return 0;
}
