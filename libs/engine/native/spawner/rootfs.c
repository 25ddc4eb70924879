#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

/* A mounted overlay keeps at most OVL_MAX_STACK (500) lowers; its monolithic options must fit one page. */
#define MAX_LOWERS 128
/* tmpfs inodes that overlayfs and we take: the root, upper, work, work/work, work/index. */
#define OWN_INODES 8

static void write_map(pid_t pid, const char *name, const struct rootfs *rootfs) {
  char path[64], line[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int size = snprintf(line, sizeof line, "0 %" PRIu32 " %" PRIu32 "\n", rootfs->id_start, rootfs->id_count);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, line, (size_t)size) != size) fail(name);
  close(fd);
}

/* A user name space that only carries the id mapping. It lives as long as the descriptor and the mounts made with it. */
static int open_userns(const struct rootfs *rootfs) {
  const pid_t self = getpid();
  pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid < 0) fail("clone user name space");
  if (pid == 0) {
    /* It is in no cgroup yet: nobody would find it if its parent were killed now. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == self) pause();
    _exit(0);
  }
  write_map(pid, "uid_map", rootfs);
  write_map(pid, "gid_map", rootfs);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int saved = errno;
  kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
  errno = saved;
  if (fd < 0) fail("open user name space");
  return fd;
}

static void make_dir(const char *path, mode_t mode, uint32_t owner) {
  /* chmod, because mkdir obeys the umask. */
  if (mkdir(path, mode) < 0 || chmod(path, mode) < 0) fail("mkdir");
  if (owner != 0 && chown(path, owner, owner) < 0) fail("chown");
}

static void mount_lower(const char *dir, const char *target, int userns) {
  int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW);
  if (tree < 0) fail("open layer");
  struct mount_attr attr = {
      .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
      .userns_fd = (unsigned long long)(unsigned)userns,
  };
  if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) fail("id-map layer");
  if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) fail("mount layer");
  close(tree);
}

void build_rootfs(const struct rootfs *rootfs) {
  if (unshare(CLONE_NEWNS) < 0) fail("unshare mount name space");
  /* Nor do the mounts of one launch reach another, or the spawner. */
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("make mounts slaves");
  int userns = open_userns(rootfs);

  if (mount("sandbar", rootfs->mount_point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,nr_inodes=512,mode=0711") < 0)
    fail("mount the launch folder");
  /* Relative paths from here on: 128 of them must fit into one page of options. */
  if (chdir(rootfs->mount_point) < 0) fail("enter the launch folder");
  make_dir("lower", 0711, 0);
  make_dir("scratch", 0711, 0);
  make_dir("rootfs", 0711, 0);

  char options[4096];
  int used = snprintf(options, sizeof options, "upperdir=scratch/upper,workdir=scratch/work,redirect_dir=off,metacopy=off,index=off,lowerdir=");
  size_t count = 0;
  for (; rootfs->lower_dirs[count] != NULL; count++) {
    if (count == MAX_LOWERS) {
      errno = E2BIG;
      fail("more than 128 layers");
    }
    char target[32];
    snprintf(target, sizeof target, "lower/%zu", count);
    make_dir(target, 0711, 0);
    mount_lower(rootfs->lower_dirs[count], target, userns);
    used += snprintf(options + used, sizeof options - (size_t)used, "%s%s", count == 0 ? "" : ":", target);
  }
  close(userns);
  if (count == 0) {
    errno = EINVAL;
    fail("no layers");
  }

  char upper[160];
  snprintf(upper, sizeof upper, "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=0755,uid=%" PRIu32 ",gid=%" PRIu32, rootfs->upper_bytes,
           rootfs->upper_inodes + OWN_INODES, rootfs->id_start, rootfs->id_start);
  if (mount("sandbar-upper", "scratch", "tmpfs", MS_NODEV, upper) < 0) fail("mount the writable layer");
  /* Owned by the shifted root: an upper layer that is itself id-mapped makes the overlay read-only. */
  make_dir("scratch/upper", 0755, rootfs->id_start);
  make_dir("scratch/work", 0755, rootfs->id_start);
  if (mount("sandbar-rootfs", "rootfs", "overlay", MS_NODEV, options) < 0) fail("mount the overlay");
}
