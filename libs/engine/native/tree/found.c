#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "found.h"
#include "sandbox.h"
#include "tree.h"

#define MAX_LISTED 20000
#define PIECE ((size_t)128 * 1024)

enum kind { KIND_FILE, KIND_DIRECTORY, KIND_SYMLINK, KIND_CHAR, KIND_BLOCK, KIND_FIFO, KIND_SOCKET };

static struct buffer frame;

static enum kind kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return KIND_DIRECTORY;
    case S_IFLNK: return KIND_SYMLINK;
    case S_IFCHR: return KIND_CHAR;
    case S_IFBLK: return KIND_BLOCK;
    case S_IFIFO: return KIND_FIFO;
    case S_IFSOCK: return KIND_SOCKET;
    default: return KIND_FILE;
  }
}

int open_named(const char *path, int flags) {
  int fd = open_in_root(root_fd, path, flags | O_PATH);
  if (fd < 0) fail(errno, "open the path", path);
  if (in_sandbox && is_made_up(fd)) fail(ENOENT, "open the path", path);
  return fd;
}

/* Where a link at `path` leads in the end, '' when nowhere. */
static const char *end_of(const char *path) {
  static char end[PATH_MAX + 1];
  int fd = open_in_root(root_fd, path, O_PATH);
  if (fd < 0 || !path_of(fd, end, sizeof end)) end[0] = '\0';
  if (fd >= 0) close(fd);
  return end;
}

static void send_found(int fd, const char *name, const char *path) {
  struct stat st;
  char target[PATH_MAX + 1] = "";
  if (fstat(fd, &st) < 0) fail(errno, "stat", name);
  const enum kind kind = kind_of(st.st_mode);
  if (kind == KIND_SYMLINK) {
    ssize_t size = readlinkat(fd, "", target, PATH_MAX);
    if (size < 0) fail(errno, "read a link", name);
    target[size] = '\0';
  }
  begin_frame(&frame, FRAME_FOUND);
  append_u8(&frame, (uint8_t)kind);
  append_u32(&frame, st.st_mode & 07777);
  append_u32(&frame, st.st_uid);
  append_u32(&frame, st.st_gid);
  append_u64(&frame, (uint64_t)st.st_size);
  append_u64(&frame, (uint64_t)st.st_mtim.tv_sec);
  append_u32(&frame, (uint32_t)st.st_mtim.tv_nsec);
  append_string(&frame, name);
  append_string(&frame, target);
  append_string(&frame, path != NULL && kind == KIND_SYMLINK ? end_of(path) : "");
  send_frame(&frame);
}

void tell_found(int fd, const char *path) { send_found(fd, path, path); }

void stat_path(const char *path) { tell_found(open_named(path, O_NOFOLLOW), path); }

void list_path(const char *path) {
  int dir = open_named(path, O_DIRECTORY);
  struct names names = read_names(dir);
  if (names.count > MAX_LISTED) fail(E2BIG, "list so many names", path);
  for (size_t i = 0; i < names.count; i++) {
    int fd = open_below(dir, names.list[i], O_PATH);
    /* Gone meanwhile. */
    if (fd < 0 && errno == ENOENT) continue;
    if (fd < 0) fail(errno, "open", names.list[i]);
    send_found(fd, names.list[i], NULL);
    close(fd);
  }
}

void read_range(const char *path, int64_t from, uint64_t length) {
  int found = open_named(path, 0);
  struct stat st;
  if (fstat(found, &st) < 0) fail(errno, "stat", path);
  if (!S_ISREG(st.st_mode)) fail(EINVAL, "read what is no regular file", path);
  int fd = reopen(found, O_RDONLY);
  if (fd < 0) fail(errno, "open", path);
  tell_found(found, path);
  const off_t size = st.st_size, start = from >= 0 ? from : (-from > size ? 0 : size + from);
  const off_t end = start >= size ? start : length < (uint64_t)(size - start) ? start + (off_t)length : size;
  for (off_t at = start; at < end;) {
    size_t wanted = end - at < (off_t)PIECE ? (size_t)(end - at) : PIECE;
    ssize_t got = pread(fd, reserve_data(wanted), wanted, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(errno, "read", path);
    /* It has become shorter: who reads has been promised more. */
    if (got == 0) fail(ESTALE, "read", path);
    send_data((uint64_t)at, (size_t)got);
    at += got;
  }
}
