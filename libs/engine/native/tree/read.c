#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "found.h"
#include "path.h"
#include "sandbox.h"
#include "tree.h"

#define PIECE ((size_t)128 * 1024)

static bool as_layer;
static struct buffer frame;

/* A capability that counts for the first user name space alone is said the old way, which every reader knows (capabilities(7)). */
static size_t plain_capability(uint8_t *value, size_t size) {
  static const uint8_t nobody[4] = {0};
  if (size != 24 || value[3] != 3 || memcmp(value + 20, nobody, 4) != 0) return size;
  value[3] = 2;
  return 20;
}

/* Of `fd`, or of `name` in the working directory for kinds that cannot be opened. */
static void append_xattrs(int fd, const char *name) {
  static char list[65536];
  static uint8_t value[65536];
  ssize_t size = fd >= 0 ? flistxattr(fd, list, sizeof list) : llistxattr(name, list, sizeof list);
  for (char *key = list; size > 0 && key < list + size; key += strlen(key) + 1) {
    if (!is_kept_xattr(key)) continue;
    ssize_t got = fd >= 0 ? fgetxattr(fd, key, value, sizeof value) : lgetxattr(name, key, value, sizeof value);
    /* Gone meanwhile. */
    if (got < 0) continue;
    size_t length = (size_t)got;
    if (strcmp(key, "security.capability") == 0) length = plain_capability(value, length);
    append_string(&frame, key);
    append_blob(&frame, value, length);
  }
}

static void begin_entry(enum entry_type type, const struct stat *st, const char *link) {
  begin_frame(&frame, FRAME_ENTRY);
  append_u8(&frame, (uint8_t)type);
  append_u32(&frame, st->st_mode & 07777);
  append_u32(&frame, st->st_uid);
  append_u32(&frame, st->st_gid);
  append_u64(&frame, type == TYPE_FILE ? (uint64_t)st->st_size : 0);
  append_u64(&frame, (uint64_t)st->st_mtim.tv_sec);
  append_u32(&frame, (uint32_t)st->st_mtim.tv_nsec);
  const bool device = type == TYPE_CHAR || type == TYPE_BLOCK;
  append_u32(&frame, device ? major(st->st_rdev) : 0);
  append_u32(&frame, device ? minor(st->st_rdev) : 0);
  append_string(&frame, tree_path);
  append_string(&frame, link);
}

/* False when the file is shorter than it was: the reader of the frames fills up with zeros. */
static bool send_range(int fd, off_t at, off_t end) {
  while (at < end) {
    size_t wanted = end - at < (off_t)PIECE ? (size_t)(end - at) : PIECE;
    ssize_t got = pread(fd, reserve_data(wanted), wanted, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(errno, "read", tree_path);
    if (got == 0) return false;
    send_data((uint64_t)at, (size_t)got);
    at += got;
  }
  return true;
}

static void send_file(int fd, const struct stat *st) {
  if ((off_t)st->st_blocks * 512 >= st->st_size) {
    send_range(fd, 0, st->st_size);
    return;
  }
  for (off_t at = 0; at < st->st_size;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return;
    if (data < 0) data = at;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0 || hole > st->st_size) hole = st->st_size;
    if (data >= st->st_size || !send_range(fd, data, hole)) return;
    at = hole;
  }
}

static void visit_file(int found, struct stat *st) {
  const char *first;
  if (st->st_nlink > 1 && !first_link(st, tree_path, &first)) {
    begin_entry(TYPE_HARDLINK, st, first);
    send_frame(&frame);
    return;
  }
  int fd = reopen(found, O_RDONLY | quiet());
  if (fd < 0 || fstat(fd, st) < 0) fail(errno, "open", tree_path);
  begin_entry(TYPE_FILE, st, "");
  append_xattrs(fd, NULL);
  send_frame(&frame);
  send_file(fd, st);
  close(fd);
}

static void walk(int dir);

/* A sandbox's /dev, and what the kernel or a program makes up there: the place of it is archived, and not what is in it. */
static bool is_others(int dir, const struct stat *st) {
  static dev_t root_device;
  if (!in_sandbox || tree_path[0] == '\0') {
    root_device = st->st_dev;
    return false;
  }
  return st->st_dev != root_device && (is_device_folder(dir) || is_made_up(dir));
}

static void visit_directory(int dir) {
  struct stat st;
  if (fstat(dir, &st) < 0) fail(errno, "stat", tree_path);
  begin_entry(TYPE_DIRECTORY, &st, "");
  append_xattrs(dir, NULL);
  send_frame(&frame);
  if (as_layer && tree_path[0] != '\0' && is_opaque(dir)) {
    begin_entry(TYPE_OPAQUE, &st, "");
    send_frame(&frame);
  }
  if (!is_others(dir, &st)) walk(dir);
}

static void visit_other(int parent, const char *name, int found, const struct stat *st) {
  enum entry_type type = S_ISLNK(st->st_mode) ? TYPE_SYMLINK : S_ISCHR(st->st_mode) ? TYPE_CHAR : S_ISBLK(st->st_mode) ? TYPE_BLOCK : TYPE_FIFO;
  char target[PATH_MAX + 1] = "";
  if (type == TYPE_SYMLINK) {
    ssize_t size = readlinkat(found, "", target, PATH_MAX);
    if (size < 0) fail(errno, "read a link", tree_path);
    target[size] = '\0';
  }
  const char *first;
  if (is_whiteout(st)) {
    if (!as_layer) return;
    type = TYPE_WHITEOUT;
  } else if (st->st_nlink > 1 && !first_link(st, tree_path, &first)) {
    begin_entry(TYPE_HARDLINK, st, first);
    send_frame(&frame);
    return;
  }
  begin_entry(type, st, target);
  if (parent >= 0 && type != TYPE_WHITEOUT) {
    if (fchdir(parent) < 0) fail(errno, "chdir", tree_path);
    append_xattrs(-1, name);
  }
  send_frame(&frame);
}

/* `found` is an O_PATH descriptor: whatever a name means a moment later, it is this file that is read. */
static void visit_found(int parent, const char *name, int found) {
  struct stat st;
  if (fstat(found, &st) < 0) fail(errno, "stat", tree_path);
  if (S_ISDIR(st.st_mode)) {
    int dir = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | quiet());
    close(found);
    if (dir < 0) fail(errno, "open", tree_path);
    visit_directory(dir);
    close(dir);
    return;
  }
  if (S_ISREG(st.st_mode)) visit_file(found, &st);
  else if (!S_ISSOCK(st.st_mode)) visit_other(parent, name, found, &st);
  close(found);
}

static void walk(int dir) {
  struct names names = read_names(dir);
  for (size_t i = 0; i < names.count; i++) {
    const char *name = names.list[i];
    /* In a layer such a name would be read back as a whiteout. */
    if (as_layer && strncmp(name, ".wh.", 4) == 0) continue;
    int found = open_below(dir, name, O_PATH);
    /* Gone meanwhile, or another file system's. */
    if (found < 0 && (errno == ENOENT || errno == EXDEV)) continue;
    size_t before = push_name(name);
    if (found < 0) fail(errno, "open", tree_path);
    visit_found(dir, name, found);
    pop_name(before);
  }
  free_names(&names);
}

void read_tree(bool layer, bool only_directory, const char *path) {
  as_layer = layer;
  int found = open_named(path, in_sandbox ? O_NOFOLLOW : 0);
  struct stat st;
  if (fstat(found, &st) < 0) fail(errno, "open the path", path);
  if (in_sandbox) tell_found(found, path);
  if (!S_ISDIR(st.st_mode)) {
    if (only_directory) fail(ENOTDIR, "open the path", path);
    const char *slash = strrchr(path, '/');
    push_name(slash == NULL ? path : slash + 1);
  }
  visit_found(-1, "", found);
}
