#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "rootfs.h"

/* Renames elsewhere on the machine make a lookup through `..` start again (openat2(2), EAGAIN). */
#define LOOKUP_ATTEMPTS 128

void read_binds(struct reader *body, struct rootfs *out) {
  const size_t count = read_u32(body);
  /* Each takes at least 11 bytes: no frame can make us allocate more than a small multiple of itself. */
  if (count > (size_t)(body->end - body->at) / 11) body->bad = true;
  if (body->bad) return;
  out->bind_count = count;
  out->binds = calloc(count + 1, sizeof *out->binds);
  if (out->binds == NULL) abort();
  for (size_t i = 0; i < count; i++) {
    out->binds[i].base = read_string(body);
    out->binds[i].path = read_string(body);
    out->binds[i].flags = read_u8(body);
  }
}

static _Noreturn void fail_bind(size_t index, const char *step) {
  const int saved = errno;
  char text[60];
  snprintf(text, sizeof text, "bind %zu%s%s", index, *step == 0 ? "" : ": ", step);
  errno = saved;
  fail(text);
}

/*
 * Guests change what is below `base` while this runs: whatever links they put there end inside it, and no mount on the way is entered.
 * Returns an O_PATH descriptor or -1.
 */
static int resolve_inside(int base, const char *path, uint64_t flags) {
  struct open_how how = {
      .flags = O_PATH | O_CLOEXEC | flags,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  for (int attempt = 1;; attempt++) {
    const int fd = (int)syscall(SYS_openat2, base, *path == 0 ? "." : path, &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN || attempt == LOOKUP_ATTEMPTS) return fd;
  }
}

/* Makes the folder at `path` inside `base`, the last of whose components is at `name`, unless something is there. */
static bool ensure_folder(int base, char *path, char *name) {
  char component[NAME_MAX + 1];
  if (strlen(name) >= sizeof component) {
    errno = ENAMETOOLONG;
    return false;
  }
  const int there = resolve_inside(base, path, 0);
  if (there >= 0) close(there);
  if (there >= 0 || errno != ENOENT) return there >= 0;
  strcpy(component, name);
  *name = 0;
  const int parent = resolve_inside(base, path, O_DIRECTORY);
  strcpy(name, component);
  if (parent < 0) return false;
  /* By one name in an open folder: nothing is followed. What is made is the guest root's at rest, uid 0. */
  const bool made = mkdirat(parent, name, 0755) == 0 || errno == EEXIST;
  const int saved = errno;
  close(parent);
  errno = saved;
  return made;
}

/* One component after the other, each looked up anew from the base, since any of them may be a link. */
static bool ensure_folders(int base, const char *path) {
  char walked[PATH_MAX];
  if (strlen(path) >= sizeof walked) {
    errno = ENAMETOOLONG;
    return false;
  }
  strcpy(walked, path);
  for (char *at = walked; *at != 0;) {
    char *name = at + strspn(at, "/");
    char *end = name + strcspn(name, "/");
    const char rest = *end;
    *end = 0;
    if (end > name && !ensure_folder(base, walked, name)) return false;
    *end = rest;
    at = end;
  }
  return true;
}

static int open_source(const struct bind_mount *bind) {
  const int base = open(bind->base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (base < 0) return -1;
  int source = resolve_inside(base, bind->path, 0);
  if (source < 0 && errno == ENOENT && (bind->flags & BIND_ENSURE_DIRECTORY) != 0 && ensure_folders(base, bind->path))
    source = resolve_inside(base, bind->path, 0);
  const int saved = errno;
  close(base);
  errno = saved;
  return source;
}

static void make_target(size_t index, const char *target, int source) {
  struct stat info;
  if (fstat(source, &info) < 0) fail_bind(index, "stat");
  if (S_ISDIR(info.st_mode)) {
    if (mkdir(target, 0711) < 0) fail_bind(index, "mkdir");
    return;
  }
  const int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) fail_bind(index, "create");
  close(fd);
}

static void mount_bind(const struct bind_mount *bind, size_t index, int userns) {
  const int source = open_source(bind);
  if (source < 0) fail_bind(index, "");
  char target[32];
  snprintf(target, sizeof target, "binds/%zu", index);
  make_target(index, target, source);
  const int tree = open_tree(source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) fail_bind(index, "clone");
  struct mount_attr attr = {
      .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV | ((bind->flags & BIND_READ_ONLY) != 0 ? MOUNT_ATTR_RDONLY : 0) |
                  ((bind->flags & BIND_SET_ID) != 0 ? 0 : MOUNT_ATTR_NOSUID),
      /* Disks are mounted so that nothing on them counts for the host. For the guest it does. */
      .attr_clr = MOUNT_ATTR_NOEXEC | ((bind->flags & BIND_SET_ID) != 0 ? MOUNT_ATTR_NOSUID : 0),
      .propagation = MS_PRIVATE,
      .userns_fd = (unsigned long long)(unsigned)userns,
  };
  if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) fail_bind(index, "id-map");
  if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) fail_bind(index, "mount");
  close(tree);
  close(source);
}

void mount_binds(const struct rootfs *rootfs, int userns) {
  /* What is made for the guest has the mode it is made with, whatever the worker's umask. */
  const mode_t before = umask(022);
  for (size_t i = 0; i < rootfs->bind_count; i++) mount_bind(&rootfs->binds[i], i, userns);
  umask(before);
}
