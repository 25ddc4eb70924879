#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"
#include "tree.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

int root_fd = -1;
int lower_fds[MAX_LOWERS];
size_t lower_count;
static int proc_fds = -1;

int open_host_dir(const char *path, const char *step) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail(errno, step, path);
  return fd;
}

void open_proc(void) {
  proc_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (proc_fds < 0) fail(errno, "open /proc/self/fd", "");
}

int reopen(int fd, int flags) {
  char name[16];
  snprintf(name, sizeof name, "%d", fd);
  return openat(proc_fds, name, flags | O_CLOEXEC);
}

int change_mode(int fd, mode_t mode) {
  char name[16];
  snprintf(name, sizeof name, "%d", fd);
  return fchmodat(proc_fds, name, mode, 0);
}

bool path_of(int fd, char *path, size_t room) {
  char name[16];
  snprintf(name, sizeof name, "%d", fd);
  ssize_t size = readlinkat(proc_fds, name, path, room - 1);
  if (size < 0 || path[0] != '/') return false;
  path[size] = '\0';
  return true;
}

/* open(2): it takes the file's owner, or power over the owner, whom a sandbox may have no number for. */
int quiet(void) { return in_sandbox ? 0 : O_NOATIME; }

void enter_directory(const char *path) {
  root_fd = open_host_dir(path, "open the root");
  if (fchdir(root_fd) < 0 || chroot(".") < 0) fail(errno, "enter the root", "");
}

static void make_dir(const char *name) {
  if (mkdir(name, 0700) < 0) fail(errno, "prepare the overlay", name);
}

/* What is mounted here is seen by nobody else and goes with this process. Everything of the host is unmounted again, so that a disk can be detached meanwhile. */
void enter_overlay(const char *const *dirs, size_t count) {
  int fds[MAX_LOWERS];
  if (count > MAX_LOWERS) fail(E2BIG, "prepare the overlay", "");
  if (unshare(CLONE_NEWNS) < 0) fail(errno, "unshare the mount name space", "");
  /* Slaves and not private: what the node unmounts meanwhile goes here too, and a tenant's disk is not kept in use. */
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail(errno, "make the mounts slaves", "");
  /* Only mounts of one's own name space can be cloned. */
  for (size_t i = 0; i < count; i++) fds[i] = open_host_dir(dirs[i], "open the root");
  if (mount("sandbar", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=256k,nr_inodes=1024,mode=0700") < 0) fail(errno, "prepare the overlay", "");
  if (chdir("/proc") < 0) fail(errno, "prepare the overlay", "");
  make_dir("t");
  /* Short names relative to here: 128 of them must fit the page of options that mount(2) takes. */
  char options[4096];
  int used = snprintf(options, sizeof options, "redirect_dir=nofollow,metacopy=off,index=off,lowerdir=");
  /* Without a writable layer overlayfs wants two lower ones. */
  size_t wanted = count < 2 ? 2 : count;
  for (size_t i = 0; i < wanted; i++) {
    char name[16];
    snprintf(name, sizeof name, "%zu", i);
    make_dir(name);
    used += snprintf(options + used, sizeof options - (size_t)used, "%s%s", i == 0 ? "" : ":", name);
    if (i >= count) continue;
    int clone = (int)syscall(SYS_open_tree, fds[i], "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
    if (clone < 0) fail(errno, "open a layer", dirs[i]);
    if (syscall(SYS_move_mount, clone, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0) fail(errno, "mount a layer", dirs[i]);
    close(clone);
    close(fds[i]);
  }
  if (mount("sandbar", "t", "overlay", MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, options) < 0) fail(errno, "mount the overlay", "");
  if (chdir("t") < 0) fail(errno, "enter the overlay", "");
  /* pivot_root(2): "." twice stacks the old root over the new one. An initramfs cannot be pivoted away from. */
  if (syscall(SYS_pivot_root, ".", ".") == 0) {
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) fail(errno, "leave the host's mounts", "");
  } else if (chroot(".") < 0) {
    fail(errno, "enter the overlay", "");
  }
  root_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root_fd < 0) fail(errno, "enter the overlay", "");
}
