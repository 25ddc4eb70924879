#define _GNU_SOURCE
#include "programs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Away from the numbers that a launch hands on. */
#define LOWEST_COPY_FD 16

static _Noreturn void die(const char *what) {
  fprintf(stderr, "sandbar-spawner: %s: %s\n", what, strerror(errno));
  exit(1);
}

/* The mountinfo field after " - " is the file system type (proc_pid_mountinfo(5)). */
static void hide_hybrid_cgroup2(void) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  if (file == NULL) die("read mountinfo");
  char *line = NULL, *unified = NULL;
  size_t room = 0;
  bool v1 = false;
  while (getline(&line, &room, file) > 0) {
    const char *type = strstr(line, " - ");
    if (type == NULL) continue;
    if (strncmp(type, " - cgroup ", 10) == 0) v1 = true;
    if (strncmp(type, " - cgroup2 ", 11) != 0) continue;
    char point[PATH_MAX];
    if (sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1) {
      free(unified);
      unified = strdup(point);
    }
  }
  free(line);
  fclose(file);
  if (v1 && unified != NULL && umount2(unified, MNT_DETACH) < 0) die("unmount the hybrid cgroup2");
  free(unified);
}

void enter_own_mounts(void) {
  if (unshare(CLONE_NEWNS) < 0) die("unshare mount name space");
  /* Slave: nothing of ours reaches the host, and what the host unmounts meanwhile is not held by us. */
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) die("make mounts slaves");
  hide_hybrid_cgroup2();
}

static bool copy(int from, int to, size_t size) {
  while (size > 0) {
    ssize_t sent = sendfile(to, from, NULL, size);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    size -= (size_t)sent;
  }
  return true;
}

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int sealed_copy(const char *path) {
  static struct stat original;
  static int sealed = -1;
  struct stat info;
  if (stat(path, &info) < 0 || !S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0) return -1;
  if (sealed >= 0 && same_file(&info, &original)) return sealed;
  if (sealed >= 0) close(sealed);
  sealed = -1;
  int from = open(path, O_RDONLY | O_CLOEXEC);
  int made = memfd_create("oci-runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int to = made < 0 ? -1 : fcntl(made, F_DUPFD_CLOEXEC, LOWEST_COPY_FD);
  if (from >= 0 && to >= 0 && copy(from, to, (size_t)info.st_size) && fchmod(to, 0555) == 0 && fcntl(to, F_ADD_SEALS, SEALS) == 0) {
    sealed = to;
    original = info;
  } else if (to >= 0) {
    close(to);
  }
  if (from >= 0) close(from);
  if (made >= 0) close(made);
  return sealed;
}

void cover_program(const char *path) {
  static bool done;
  const char *name = strrchr(path, '/');
  if (done || name == NULL || name == path) return;
  done = true;
  char folder[PATH_MAX];
  struct stat info;
  int length = snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
  int from = open(path, O_RDONLY | O_CLOEXEC);
  if (length >= (int)sizeof folder || from < 0 || fstat(from, &info) < 0) goto end;
  char options[64];
  /* Room for the file and a page or two besides. */
  snprintf(options, sizeof options, "size=%lld,nr_inodes=4,mode=0711", ((long long)info.st_size + 0x3fff) & ~0xfffLL);
  if (mount("sandbar-bin", folder, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0) goto end;
  int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  bool whole = to >= 0 && copy(from, to, (size_t)info.st_size) && fchmod(to, 0555) == 0;
  if (to >= 0) close(to);
  if (!whole || mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0) umount2(folder, MNT_DETACH);
end:
  if (from >= 0) close(from);
}
