#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "rootfs.h"

static void write_map(pid_t pid, const char *name, const struct rootfs *rootfs) {
  char path[64], line[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  int size = snprintf(line, sizeof line, "0 %" PRIu32 " %" PRIu32 "\n", rootfs->id_start, rootfs->id_count);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, line, (size_t)size) != size) fail(name);
  close(fd);
}

int open_userns(const struct rootfs *rootfs) {
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
