#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* The agent is root there: /proc/1, /proc/sys and their like must not be reached through it. */
static bool kernel_file_system(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) < 0) return true;
  switch ((unsigned long)info.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case BPF_FS_MAGIC:
    case SECURITYFS_MAGIC:
    case SELINUX_MAGIC:
      return true;
    default:
      return false;
  }
}

static int make_folder(int parent, const char *name, const struct parents *parents) {
  if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST) return -1;
  int fd = openat(parent, name, FOLDER_FLAGS);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) < 0) return fd;
  /* Mode 0755 exactly, since the agent's umask is 0. Only what is still the agent's own is given away: somebody may have put another folder in its place meanwhile. */
  if (info.st_uid == 0 && fchownat(fd, "", parents->uid, parents->gid, AT_EMPTY_PATH) < 0) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

static int descend(int parent, const char *name, const struct parents *parents) {
  int fd = openat(parent, name, FOLDER_FLAGS);
  if (fd < 0 && errno == ENOENT && parents->make) return make_folder(parent, name, parents);
  if (fd < 0 && errno == ENOTDIR) {
    struct stat info;
    bool link = fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
    errno = link ? ELOOP : ENOTDIR;
  }
  return fd;
}

static int step(int folder, const char *name, const struct parents *parents) {
  int next = descend(folder, name, parents);
  int error = errno;
  close(folder);
  errno = error;
  return next;
}

int path_open_parent(const char *path, const struct parents *parents, char name[256]) {
  int folder = open("/", FOLDER_FLAGS);
  name[0] = 0;
  while (folder >= 0) {
    path += strspn(path, "/");
    size_t length = strcspn(path, "/");
    if (length == 0) break;
    if (length > 255) {
      close(folder);
      errno = ENAMETOOLONG;
      return -1;
    }
    /* The component before this one turned out to be a folder on the way. */
    if (name[0] != 0) {
      folder = step(folder, name, parents);
      if (folder < 0) return -1;
    }
    memcpy(name, path, length);
    name[length] = 0;
    path += length;
  }
  if (folder < 0) return -1;
  int fault = name[0] == 0 ? EISDIR : kernel_file_system(folder) ? EXDEV : 0;
  if (fault == 0) return folder;
  close(folder);
  errno = fault;
  return -1;
}
