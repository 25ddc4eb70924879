#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "tree.h"

static void copy_range(int from, int to, off_t at, off_t end, const char *path) {
  static uint8_t piece[128 * 1024];
  while (at < end) {
    size_t wanted = end - at < (off_t)sizeof piece ? (size_t)(end - at) : sizeof piece;
    ssize_t got = pread(from, piece, wanted, at);
    if (got < 0) fail(errno, "read", path);
    if (got == 0) return;
    for (ssize_t done = 0; done < got;) {
      ssize_t put = pwrite(to, piece + done, (size_t)(got - done), at + done);
      if (put < 0) fail(errno, "write", path);
      done += put;
    }
    at += got;
  }
}

static void copy_data(int from, int to, off_t size, const char *path) {
  for (off_t at = 0; at < size;) {
    off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0) data = at;
    off_t hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0) hole = size;
    copy_range(from, to, data, hole, path);
    at = hole;
  }
  if (ftruncate(to, size) < 0) fail(errno, "truncate", path);
}

void copy_lower(int from, const struct stat *st, int parent, const char *name, const char *path) {
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
  if (S_ISREG(st->st_mode)) {
    int source = reopen(from, O_RDONLY);
    int target = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (source < 0 || target < 0) fail(errno, "open", path);
    copy_data(source, target, st->st_size, path);
    copy_metadata(source, st, target, path);
    if (futimens(target, times) < 0) fail(errno, "set the time", path);
    close(source);
    close(target);
    return;
  }
  if (S_ISLNK(st->st_mode)) {
    char target[PATH_MAX + 1];
    ssize_t size = readlinkat(from, "", target, PATH_MAX);
    if (size < 0) fail(errno, "read a link", path);
    target[size] = '\0';
    if (symlinkat(target, parent, name) < 0) fail(errno, "symlink", path);
  } else if (S_ISDIR(st->st_mode)) {
    fail(EPERM, "link", path);
  } else if (mknodat(parent, name, st->st_mode, st->st_rdev) < 0) {
    fail(errno, "mknod", path);
  }
  if (fchownat(parent, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0) fail(errno, "chown", path);
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0) fail(errno, "set the time", path);
}
