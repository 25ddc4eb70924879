#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sandbox.h"
#include "tree.h"

static int open_how(int dir, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = resolve | RESOLVE_NO_MAGICLINKS};
  for (;;) {
    int fd = (int)syscall(SYS_openat2, dir, path[0] == '\0' ? "." : path, &how, sizeof how);
    /* EAGAIN: something was renamed meanwhile and the kernel cannot tell whether the path has left (openat2(2)). */
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return fd;
  }
}

int open_on_mount(int dir, const char *path, int flags) {
  return open_how(dir, path, flags | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

int open_below(int dir, const char *path, int flags) {
  if (!in_sandbox) return open_on_mount(dir, path, flags);
  return open_how(dir, path, flags | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

int open_in_root(int root, const char *path, int flags) { return open_how(root, path, flags, RESOLVE_IN_ROOT); }

bool is_whiteout(const struct stat *st) { return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0); }

bool is_opaque(int fd) {
  char value = 0;
  return fgetxattr(fd, OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

static bool begins(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool is_kept_xattr(const char *name) {
  if (begins(name, "user.")) return !begins(name, "user.overlay.");
  if (begins(name, "trusted.")) return !begins(name, "trusted.overlay.");
  return strcmp(name, "security.capability") == 0 || begins(name, "system.posix_acl_");
}
