#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rootfs.h"

#define AGENT_FD 3
#define AGENT_BACKLOG 8

static int report_fd = -1;

void report_to(int fd) { report_fd = fd; }

_Noreturn void fail(const char *step) {
  struct {
    int32_t error;
    char step[60];
  } report = {.error = errno};
  strncpy(report.step, step, sizeof report.step - 1);
  if (write(report_fd, &report, sizeof report) != (ssize_t)sizeof report) _exit(126);
  _exit(127);
}

static _Noreturn void execute(char **argv, char **env) {
  if (argv[0] == NULL) {
    errno = EINVAL;
    fail("empty argv");
  }
  execvpe(argv[0], argv, env);
  fail("exec");
}

_Noreturn void run_exec(struct reader *body) {
  char **argv = read_list(body, NULL);
  char **env = read_list(body, NULL);
  const char *cwd = read_string(body);
  if (body->bad) {
    errno = EBADMSG;
    fail("read the request");
  }
  if (chdir(cwd) < 0) fail("chdir");
  /* execvpe searches the caller's PATH: it is the request's that counts. */
  clearenv();
  for (char **entry = env; *entry != NULL; entry++) putenv(*entry);
  execute(argv, env);
}

static void join_cgroup(const char *procs_file) {
  int fd = open(procs_file, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "0", 1) != 1) fail("join cgroup");
  close(fd);
}

/* Waits for the process that took this one's place, and ends as it ended: the spawner knows only this one. */
static _Noreturn void stand_in_for(pid_t pid) {
  int status = 0;
  close_range(0, ~0U, 0);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) raise(WTERMSIG(status));
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

/*
 * Goes on in a child that is born in the v2 cgroup `dir` (clone(2), CLONE_INTO_CGROUP). Moving there takes a lock over every thread group of
 * the machine and with it an RCU grace period, 14 to 40 ms on an idle Linux 6.1; birth does not. False where clone3 is denied (the seccomp
 * filter of a container engine).
 */
static bool born_in_cgroup(const char *dir) {
  int cgroup = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (cgroup < 0) fail("open cgroup");
  struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned long long)cgroup};
  const pid_t self = getpid();
  pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (pid > 0) stand_in_for(pid);
  const int saved = errno;
  close(cgroup);
  errno = saved;
  if (pid < 0 && errno != ENOSYS && errno != EPERM) fail("join cgroup");
  if (pid < 0) return false;
  /* Not inherited: the spawner's end ends the one that stands in, and that one us. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != self) _exit(126);
  return true;
}

/* v1's files are called `tasks`, v2's `cgroup.procs`. */
static void join_cgroups(char **files) {
  static const char v2_file[] = "/cgroup.procs";
  for (char **file = files; *file != NULL; file++) {
    const size_t length = strlen(*file);
    const size_t suffix = sizeof v2_file - 1;
    if (length > suffix && strcmp(*file + length - suffix, v2_file) == 0) {
      char *dir = strndup(*file, length - suffix);
      if (dir == NULL) fail("strndup");
      const bool born = born_in_cgroup(dir);
      free(dir);
      if (born) continue;
    }
    join_cgroup(*file);
  }
}

/* The guest agent dies last when the node runs out of memory. Best effort: lowering needs CAP_SYS_RESOURCE. */
static void prefer_survival(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "-999", 4) < 0 && errno != EACCES && errno != EPERM) fail("oom_score_adj");
  close(fd);
}

/* Leaves a listening socket as AGENT_FD, without close-on-exec. */
static void listen_for_agent(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail("agent socket path");
  }
  memcpy(address.sun_path, path, length + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("agent socket");
  mode_t old = umask(0177);
  if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0) fail("bind agent socket");
  umask(old);
  if (listen(fd, AGENT_BACKLOG) < 0) fail("listen on agent socket");
  /* The report pipe may sit where the socket must go. */
  if (report_fd == AGENT_FD) {
    int moved = fcntl(report_fd, F_DUPFD_CLOEXEC, AGENT_FD + 1);
    if (moved < 0) fail("move report pipe");
    report_fd = moved;
  }
  if (fd == AGENT_FD) {
    if (fcntl(fd, F_SETFD, 0) < 0) fail("keep agent socket");
  } else if (dup2(fd, AGENT_FD) < 0) {
    fail("place agent socket");
  }
}

/*
 * The sandbox, and the runtime that makes it, go on in another network name space. Never in the node's own: a path in /proc whose process has ended
 * and whose pid another one has must not lead there.
 */
static void join_network(const char *path) {
  struct stat own, other;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &other) < 0 || stat("/proc/self/ns/net", &own) < 0) fail("open the network name space");
  if (own.st_dev == other.st_dev && own.st_ino == other.st_ino) {
    errno = EPERM;
    fail("join the node's network name space");
  }
  if (setns(fd, CLONE_NEWNET) < 0) fail("join the network name space");
  close(fd);
}

/* The agent's program comes first, then argv. */
bool peek_launch(struct reader body, struct launch_head *out) {
  out->agent = read_string(&body);
  out->runtime = read_u32(&body) > 0 ? read_string(&body) : "";
  return !body.bad;
}

_Noreturn void run_launch(struct reader *body, int program) {
  read_string(body);
  char **argv = read_list(body, NULL);
  char **env = read_list(body, NULL);
  struct rootfs rootfs = {.mount_point = read_string(body)};
  rootfs.lower_dirs = read_list(body, NULL);
  read_upper(body, &rootfs.upper);
  rootfs.id_start = read_u32(body);
  rootfs.id_count = read_u32(body);
  read_binds(body, &rootfs);
  char **procs_files = read_list(body, NULL);
  const char *socket_path = read_string(body);
  const char *network = read_string(body);
  if (body->bad) {
    errno = EBADMSG;
    fail("read the request");
  }
  rootfs.with_sys = *network != 0;
  if (rootfs.with_sys) join_network(network);
  build_rootfs(&rootfs);
  join_cgroups(procs_files);
  prefer_survival();
  listen_for_agent(socket_path);
  if (chdir("/") < 0) fail("chdir");
  /* Close-on-exec from AGENT_FD + 1: the report pipe must stay open until exec succeeds. */
  if (close_range(AGENT_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0) fail("close_range");
  /* A script cannot be executed from a descriptor that execve closes. */
  if (program >= 0) execveat(program, "", argv, env, AT_EMPTY_PATH);
  execute(argv, env);
}
