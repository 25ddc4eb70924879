#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "resolve.h"
#include "sandbox.h"
#include "tree.h"

/* The file that is being written, and a copy of its frame. */
static struct buffer held;
static struct entry file;
static int file_fd = -1;
static uint64_t file_end;

/* An entry of a hard link costs its archive nothing, and may be said again and again: Docker copies nothing up at all. */
#define MAX_COPIED ((uint64_t)4 << 30)
static uint64_t copied;

/* Neither does a directory make way for something else, nor the other way round. */
static bool kinds_stay;

static struct entry read_entry(struct reader *r) {
  struct entry entry = {.type = read_u8(r), .mode = read_u32(r) & 07777, .uid = read_u32(r), .gid = read_u32(r), .size = read_u64(r)};
  entry.seconds = (int64_t)read_u64(r);
  entry.nanoseconds = read_u32(r);
  entry.major = read_u32(r);
  entry.minor = read_u32(r);
  entry.path = read_string(r);
  entry.link = read_string(r);
  entry.xattrs = *r;
  return entry;
}

static void begin_file(int parent, const char *name, const struct reader *frame) {
  held.size = 0;
  append(&held, frame->at, (size_t)(frame->end - frame->at));
  struct reader again = {.at = held.data, .end = held.data + held.size};
  file = read_entry(&again);
  file_fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file_fd < 0) fail(errno, "create", file.path);
  file_end = 0;
}

static void write_data(struct reader *body) {
  uint64_t at = read_u64(body);
  if (file_fd < 0) fail(EBADMSG, "write", "");
  const uint8_t *bytes;
  for (size_t size; (size = read_data(&bytes)) > 0;) {
    if (at > file.size || size > file.size - at) fail(EBADMSG, "write", file.path);
    while (size > 0) {
      ssize_t put = pwrite(file_fd, bytes, size, (off_t)at);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) fail(errno, "write", file.path);
      bytes += put;
      size -= (size_t)put;
      at += (uint64_t)put;
    }
  }
  if (at > file_end) file_end = at;
}

static void finish_file(void) {
  if (file_fd < 0) return;
  if (file_end < file.size && ftruncate(file_fd, (off_t)file.size) < 0) fail(errno, "truncate", file.path);
  set_metadata(file_fd, &file);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = file.seconds, .tv_nsec = file.nanoseconds}};
  if (futimens(file_fd, times) < 0) fail(errno, "set the time", file.path);
  close(file_fd);
  file_fd = -1;
}

static const char *join(const char *directory, const char *name) {
  static char path[2 * PATH_MAX + 2];
  size_t length = strlen(directory), more = strlen(name);
  if (length + 1 + more >= sizeof path) fail(ENAMETOOLONG, "resolve", name);
  memcpy(path, directory, length);
  if (length > 0) path[length++] = '/';
  memcpy(path + length, name, more + 1);
  return path;
}

static void put_root(const struct entry *entry) {
  if (entry->type != TYPE_DIRECTORY) fail(EINVAL, "replace the root", entry->path);
  int fd = open_below(base_fd, "", O_RDONLY | O_DIRECTORY);
  if (fd < 0) fail(errno, "open", entry->path);
  set_metadata(fd, entry);
  remember_times("", entry->seconds, entry->nanoseconds);
  close(fd);
}

static void put_opaque(const struct entry *entry) {
  if (entry->path[0] == '\0') {
    root_opaque = true;
    return;
  }
  char path[PATH_MAX + 3];
  size_t length = strlen(entry->path);
  if (length > PATH_MAX) fail(ENAMETOOLONG, "resolve", entry->path);
  memcpy(path, entry->path, length);
  memcpy(path + length, "/.", 3);
  const char *name, *canonical;
  mark_opaque(parent_of(path, &name, &canonical), "", entry->path);
}

/* What this layer itself has at the path stays: a whiteout is about the layers below. */
static void put_whiteout(int parent, const char *name, const struct entry *entry) {
  struct stat st;
  if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (S_ISDIR(st.st_mode)) mark_opaque(parent, name, entry->path);
    return;
  }
  if (errno != ENOENT || mknodat(parent, name, S_IFCHR, 0) < 0) fail(errno, "make a whiteout", entry->path);
}

/* What was there before, unless both are directories. Whether it was a whiteout, which hides what a new directory must go on hiding. */
static bool clear_place(int parent, const char *name, const struct entry *entry, bool *exists) {
  struct stat st;
  *exists = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (!*exists) {
    if (errno != ENOENT) fail(errno, "stat", entry->path);
    return false;
  }
  if (S_ISDIR(st.st_mode) && entry->type == TYPE_DIRECTORY) return false;
  if (kinds_stay && S_ISDIR(st.st_mode)) fail(EEXIST, "overwrite a directory", entry->path);
  if (kinds_stay && entry->type == TYPE_DIRECTORY) fail(EEXIST, "overwrite with a directory", entry->path);
  if (remove_at(parent, name) < 0) fail(errno, "replace", entry->path);
  if (!S_ISREG(st.st_mode)) forget_all();
  *exists = false;
  return layer_mode && is_whiteout(&st);
}

static void put_hardlink(const struct entry *entry) {
  const char *name, *canonical, *target;
  if (entry->link[0] == '\0') fail(EPERM, "link", entry->path);
  int from = dup(parent_of(entry->link, &target, &canonical));
  if (from < 0) fail(errno, "link", entry->path);
  struct stat st, old;
  bool found = fstatat(from, target, &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (found && layer_mode && is_whiteout(&st)) fail(ENOENT, "link", entry->path);
  if (!found && layer_mode) {
    const char *place = join(canonical, target);
    int lower = stack_open(place, &st);
    if (lower < 0) fail(ENOENT, "link", entry->path);
    if (S_ISREG(st.st_mode)) copied += (uint64_t)st.st_size;
    if (copied > MAX_COPIED) fail(E2BIG, "copy so much of the layers below", entry->path);
    copy_lower(lower, &st, from, target, entry->path);
    close(lower);
    if (fstatat(from, target, &st, AT_SYMLINK_NOFOLLOW) < 0) fail(errno, "link", entry->path);
  } else if (!found) {
    fail(errno, "link", entry->path);
  }
  int parent = parent_of(entry->path, &name, &canonical);
  if (fstatat(parent, name, &old, AT_SYMLINK_NOFOLLOW) == 0 && old.st_ino == st.st_ino && old.st_dev == st.st_dev) {
    close(from);
    return;
  }
  require_writable(parent, entry->path);
  bool exists;
  clear_place(parent, name, entry, &exists);
  if (linkat(from, target, parent, name, 0) < 0) fail(errno, "link", entry->path);
  forget_below(entry->path, join(canonical, name));
  close(from);
}

static void put_directory(int parent, const char *name, const char *canonical, const struct entry *entry, bool exists, bool covers) {
  if (!exists && mkdirat(parent, name, 0700) < 0) fail(errno, "mkdir", entry->path);
  if (covers) mark_opaque(parent, name, entry->path);
  int fd = open_below(parent, name, O_RDONLY | O_DIRECTORY);
  if (fd < 0) fail(errno, "open", entry->path);
  set_metadata(fd, entry);
  remember_times(layer_mode ? join(canonical, name) : entry->path, entry->seconds, entry->nanoseconds);
  close(fd);
}

static void put_node(int parent, const char *name, const struct entry *entry) {
  const mode_t kinds[] = {[TYPE_CHAR] = S_IFCHR, [TYPE_BLOCK] = S_IFBLK, [TYPE_FIFO] = S_IFIFO};
  dev_t device = entry->type == TYPE_FIFO ? 0 : makedev(entry->major, entry->minor);
  /* It would be overlayfs' whiteout. */
  if (entry->type == TYPE_CHAR && device == 0) fail(EINVAL, "mknod", entry->path);
  if (mknodat(parent, name, kinds[entry->type] | 0600, device) < 0) fail(errno, "mknod", entry->path);
  set_link_metadata(parent, name, entry);
}

static void put(struct reader *frame) {
  struct reader rest = *frame;
  const struct entry entry = read_entry(&rest);
  if (entry.type == TYPE_OPAQUE) return put_opaque(&entry);
  if (entry.path[0] == '\0') return put_root(&entry);
  if (entry.type == TYPE_HARDLINK) return put_hardlink(&entry);
  const char *name, *canonical;
  int parent = parent_of(entry.path, &name, &canonical);
  require_writable(parent, entry.path);
  if (entry.type == TYPE_WHITEOUT) return put_whiteout(parent, name, &entry);
  bool exists;
  const bool covers = clear_place(parent, name, &entry, &exists);
  if (!exists) forget_below(entry.path, join(canonical, name));
  switch (entry.type) {
    case TYPE_FILE: return begin_file(parent, name, frame);
    case TYPE_DIRECTORY: return put_directory(parent, name, canonical, &entry, exists, covers);
    case TYPE_SYMLINK:
      if (symlinkat(entry.link, parent, name) < 0) fail(errno, "symlink", entry.path);
      return set_link_metadata(parent, name, &entry);
    case TYPE_CHAR:
    case TYPE_BLOCK:
    case TYPE_FIFO: return put_node(parent, name, &entry);
    default: fail(EBADMSG, "read a frame", entry.path);
  }
}

/* overlayfs always merges the roots of its layers, so a layer that hides all below it must do it name by name. */
static void hide_in_root(const char *name, void *context) {
  (void)context;
  struct stat st;
  if (fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (S_ISDIR(st.st_mode)) mark_opaque(root_fd, name, name);
  } else if (mknodat(root_fd, name, S_IFCHR, 0) < 0) {
    fail(errno, "make a whiteout", name);
  }
}

/* The root of a layer that does not name it is the one below. */
static void imply_root(void) {
  struct stat st;
  if (lower_count == 0) return remember_times("", 0, 0);
  int from = open_below(lower_fds[0], "", O_RDONLY | O_DIRECTORY), to = open_below(base_fd, "", O_RDONLY | O_DIRECTORY);
  if (from < 0 || to < 0 || fstat(from, &st) < 0) fail(errno, "open", "");
  copy_metadata(from, &st, to, "");
  remember_times("", st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec);
  close(from);
  close(to);
}

uint64_t write_tree(bool layer, bool only_if_empty, bool same_kinds, const char *into) {
  layer_mode = layer;
  kinds_stay = same_kinds;
  base_fd = open_in_root(root_fd, into, O_PATH | O_DIRECTORY);
  if (base_fd < 0) fail(errno, "open the path", into);
  require_writable(base_fd, into);
  if (only_if_empty) {
    struct names names = read_names(base_fd);
    if (names.count > 0) fail(ENOTEMPTY, "open the path", into);
    free_names(&names);
  }
  if (layer) imply_root();
  for (;;) {
    struct reader body;
    uint8_t kind = next_frame(&body);
    if (kind == FRAME_DATA) {
      write_data(&body);
      continue;
    }
    finish_file();
    if (kind == FRAME_END) break;
    if (kind != FRAME_ENTRY) fail(EBADMSG, "read a frame", "");
    put(&body);
  }
  if (root_opaque) each_lower_name("", hide_in_root, NULL);
  apply_times();
  return copied;
}
