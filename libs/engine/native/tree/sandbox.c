#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tree.h"

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif
#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* What a guest can make this program hold: names of a directory, hard links, times. */
#define MAX_MEMORY ((rlim_t)512 * 1024 * 1024)

/* Of a container's root, what has to do with files. */
#define KEPT_CAPABILITIES \
  ((1u << CAP_CHOWN) | (1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH) | (1u << CAP_FOWNER) | (1u << CAP_FSETID) | (1u << CAP_SETFCAP))

bool in_sandbox;
static bool accounted;
static uint64_t root_mount;

/* Field 22 of proc(5)'s stat. The name in field 2 may hold anything: fields are counted from its last bracket. */
static unsigned long long started_at(int process) {
  char text[2048];
  int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (size < 0) fail(ESRCH, "find the sandbox", "");
  close(fd);
  text[size] = '\0';
  char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  if (at == NULL) fail(ESRCH, "find the sandbox", "");
  return strtoull(at + 1, NULL, 10);
}

/* A descriptor of /proc/<pid> means that one process for ever: nothing is found below it when the process has gone. */
static int open_process(const char *name) {
  unsigned pid;
  unsigned long long started;
  char end, path[32];
  if (sscanf(name, "%u %llu%c", &pid, &started, &end) != 2) fail(EBADMSG, "read the request", "");
  snprintf(path, sizeof path, "/proc/%u", pid);
  int process = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (process < 0 || started_at(process) != started) fail(ESRCH, "find the sandbox", "");
  return process;
}

static int open_of(int process, const char *name, int flags) {
  int fd = openat(process, name, flags | O_CLOEXEC);
  if (fd < 0) fail(ESRCH, "find the sandbox", "");
  return fd;
}

/* What is written to its tmpfs counts as the container's memory, and whatever ends the sandbox ends this program too: its mounts are let go of. */
static void join_cgroup(const char *const *files, size_t count) {
  for (size_t i = 0; i < count; i++) {
    int fd = open(files[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) fail(errno == ENOENT || errno == ENODEV ? ESRCH : errno, "join the cgroup", "");
    close(fd);
  }
  accounted = count > 0;
}

static void drop_privileges(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{.effective = KEPT_CAPABILITIES, .permitted = KEPT_CAPABILITIES}};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0) fail(errno, "drop capabilities", "");
}

static uint64_t mount_of(int fd) {
  struct statx st;
  if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0) fail(errno, "stat", "");
  return st.stx_mnt_id;
}

void enter_sandbox(const char *name, const char *const *join_files, size_t count) {
  const struct rlimit memory = {.rlim_cur = MAX_MEMORY, .rlim_max = MAX_MEMORY};
  int process = open_process(name);
  int user = open_of(process, "ns/user", O_RDONLY), mounts = open_of(process, "ns/mnt", O_RDONLY);
  root_fd = open_of(process, "root", O_PATH | O_DIRECTORY);
  join_cgroup(join_files, count);
  if (setrlimit(RLIMIT_DATA, &memory) < 0) fail(errno, "limit memory", "");
  /* The user name space first: from then on nothing is allowed that its root is not, in the mount name space neither. */
  if (setns(user, CLONE_NEWUSER) < 0) fail(errno, "enter the user name space", "");
  if (setns(mounts, CLONE_NEWNS) < 0) fail(errno, "enter the mount name space", "");
  if (fchdir(root_fd) < 0 || chroot(".") < 0) fail(errno, "enter the root", "");
  if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail(errno, "become the sandbox's root", "");
  drop_privileges();
  close(process);
  close(user);
  close(mounts);
  in_sandbox = true;
  root_mount = mount_of(root_fd);
}

bool is_made_up(int fd) {
  struct statfs fs;
  if (fstatfs(fd, &fs) < 0) return true;
  switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case MQUEUE_MAGIC:
    case CONFIGFS_MAGIC:
    case SECURITYFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case BPF_FS_MAGIC:
    case NSFS_MAGIC:
    case BINFMTFS_MAGIC:
    case FUSE_SUPER_MAGIC: return true;
    default: return false;
  }
}

bool is_device_folder(int dir) {
  char path[8];
  return path_of(dir, path, sizeof path) && strcmp(path, "/dev") == 0;
}

void require_writable(int dir, const char *path) {
  struct statfs fs;
  if (!in_sandbox) return;
  if (fstatfs(dir, &fs) < 0) fail(errno, "stat", path);
  if ((fs.f_flags & ST_RDONLY) != 0) fail(EROFS, mount_of(dir) == root_mount ? "write to the root" : "write to a mount", path);
  if (is_made_up(dir)) fail(EROFS, "write to a mount", path);
  /* Nothing would bound it: a frozen cgroup cannot be joined. */
  if (fs.f_type == TMPFS_MAGIC && !accounted) fail(EBUSY, "write to a tmpfs of a frozen sandbox", path);
}
