#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* What guest root may hold at most, unless the command line says so; other users hold nothing. */
#ifndef GUEST_ROOT_CAPABILITIES
#define BIT(capability) (UINT64_C(1) << (capability))
#define GUEST_ROOT_CAPABILITIES                                                                                                              \
  (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) |       \
   BIT(CAP_KILL) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_AUDIT_WRITE) | BIT(CAP_SETFCAP))
#endif

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OOM_SCORE_ADJ 500

struct rlimit inherited_nofile;
struct guest_privileges guest_privileges = {.root_capabilities = GUEST_ROOT_CAPABILITIES, .no_new_privileges = true, .oom_score_adj = OOM_SCORE_ADJ};

/* -1000 … 1000, in decimal and nothing else. */
static bool oom_score_argument(const char *text) {
  const char *digits = text + (*text == '-');
  size_t length = strlen(digits);
  if (length == 0 || length > 4 || strspn(digits, "0123456789") != length) return false;
  long value = strtol(text, NULL, 10);
  if (value < -1000 || value > 1000) return false;
  guest_privileges.oom_score_adj = (int)value;
  return true;
}

bool privileges_argument(const char *argument) {
  static const char capabilities[] = "--capabilities=";
  static const char oom_score[] = "--oom-score-adj=";
  if (strcmp(argument, "--new-privileges") == 0) {
    guest_privileges.no_new_privileges = false;
    return true;
  }
  if (strncmp(argument, oom_score, sizeof oom_score - 1) == 0) return oom_score_argument(argument + sizeof oom_score - 1);
  if (strncmp(argument, capabilities, sizeof capabilities - 1) != 0) return false;
  const char *digits = argument + sizeof capabilities - 1;
  if (strlen(digits) != 16 || strspn(digits, "0123456789abcdef") != 16) return false;
  guest_privileges.root_capabilities = guest_privileges.user_bounding = strtoull(digits, NULL, 16);
  return true;
}

/* What the agent has, and so what its children begin with: it drops nothing itself. */
static uint64_t bounding_set;

void child_prepare(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number <= 64; number++) sigaction(number, &standard, NULL);
  for (unsigned long capability = 0; capability < 64; capability++) {
    int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) break;
    if (held == 1) bounding_set |= UINT64_C(1) << capability;
  }
}

static int report_fd;

static _Noreturn void fail(int stage, int error) {
  struct child_report report = {.stage = stage, .error = error};
  ssize_t written = write(report_fd, &report, sizeof report);
  _exit(written == sizeof report ? 127 : 126);
}

/* The agent leaves every other signal at its default, see child_prepare. */
static void reset_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigaction(SIGPIPE, &standard, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The kernel then takes guests before the agent. Best effort: a read-only /proc forbids it, and so does a score below the agent's own; nothing depends on it. */
static void offer_to_oom_killer(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  char score[8];
  int length = snprintf(score, sizeof score, "%d", guest_privileges.oom_score_adj);
  ssize_t written = write(fd, score, (size_t)length);
  (void)written;
  close(fd);
}

static void take_stdio(const struct child_plan *plan) {
  /* All three are above 2: the agent keeps 0, 1 and 2 open on /dev/null. */
  if (dup2(plan->stdin_fd, 0) < 0 || dup2(plan->stdout_fd, 1) < 0 || dup2(plan->stderr_fd, 2) < 0) fail(STAGE_SETUP, errno);
  if (plan->request->pty && ioctl(0, TIOCSCTTY, 0) < 0) fail(STAGE_SETUP, errno);
  /* Marked rather than closed: the report pipe must live until execve. Every descriptor is CLOEXEC anyway; this is the second lock. */
  if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) < 0 && errno != ENOSYS) fail(STAGE_SETUP, errno);
}

static void set_limit(int resource, rlim_t soft, rlim_t hard) {
  struct rlimit current;
  if (getrlimit((__rlimit_resource_t)resource, &current) < 0) fail(STAGE_IDENTITY, errno);
  /* Raising a hard limit needs a privilege that no sandbox has: the stricter of the two holds. */
  rlim_t most = hard < current.rlim_max ? hard : current.rlim_max;
  struct rlimit wanted = {.rlim_cur = soft < most ? soft : most, .rlim_max = most};
  if (setrlimit((__rlimit_resource_t)resource, &wanted) < 0) fail(STAGE_IDENTITY, errno);
}

static void set_limits(const struct start_request *request) {
  setrlimit(RLIMIT_NOFILE, &inherited_nofile);
  for (uint32_t i = 0; i < request->limit_count; i++) {
    if (request->limits[i].resource >= RLIM_NLIMITS) fail(STAGE_IDENTITY, EINVAL);
    set_limit((int)request->limits[i].resource, request->limits[i].soft, request->limits[i].hard);
  }
}

static void limit_bounding_set(uint64_t keep) {
  for (uint64_t left = bounding_set & ~keep; left != 0; left &= left - 1)
    if (prctl(PR_CAPBSET_DROP, (unsigned long)__builtin_ctzll(left), 0, 0, 0) < 0) fail(STAGE_IDENTITY, errno);
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) fail(STAGE_IDENTITY, errno);
}

static void limit_capabilities(uint64_t keep) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) < 0) fail(STAGE_IDENTITY, errno);
  for (int word = 0; word < 2; word++) {
    uint32_t allowed = sets[word].permitted & (uint32_t)(keep >> (32 * word));
    sets[word] = (struct __user_cap_data_struct){.effective = allowed, .permitted = allowed, .inheritable = 0};
  }
  if (syscall(SYS_capset, &header, sets) < 0) fail(STAGE_IDENTITY, errno);
}

/* Of a privileged process: what the agent has itself. */
#define EVERY_CAPABILITY UINT64_MAX

static void take_identity(const struct start_request *request) {
  const bool root = request->uid == 0;
  const uint64_t most = request->privileged ? EVERY_CAPABILITY : root ? guest_privileges.root_capabilities : guest_privileges.user_bounding;
  gid_t gids[MAX_GIDS];
  for (uint32_t i = 0; i < request->gid_count; i++) gids[i] = request->gids[i];
  limit_bounding_set(most);
  if (setgroups(request->gid_count, gids) < 0) fail(STAGE_IDENTITY, errno);
  if (setresgid(request->gid, request->gid, request->gid) < 0) fail(STAGE_IDENTITY, errno);
  if (setresuid(request->uid, request->uid, request->uid) < 0) fail(STAGE_IDENTITY, errno);
  limit_capabilities(root ? most : 0);
  if (guest_privileges.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail(STAGE_IDENTITY, errno);
}

/* A file written a moment ago may still be held for writing by a child that has not reached its own execve. */
static int execute(const char *path, const struct child_plan *plan) {
  for (int attempt = 0; attempt < 100; attempt++) {
    execve(path, plan->argv, plan->env);
    if (errno != ETXTBSY) break;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return errno;
}

static const char *search_path(char *const *env) {
  for (; *env != NULL; env++)
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  return DEFAULT_PATH;
}

/* As execvp(3), but nothing is handed to a shell. A program that may not be run is told apart from one that is not there. */
static int execute_by_name(const char *name, const struct child_plan *plan) {
  if (strchr(name, '/') != NULL) return execute(name, plan);
  int result = ENOENT;
  const char *folder = search_path(plan->env);
  for (;;) {
    const char *end = strchrnul(folder, ':');
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%.*s%s%s", (int)(end - folder), folder, end == folder ? "" : "/", name);
    if (length > 0 && (size_t)length < sizeof path) {
      int error = execute(path, plan);
      if (error == EACCES) result = EACCES;
      else if (error != ENOENT && error != ENOTDIR) return error;
    }
    if (*end == 0) return result;
    folder = end + 1;
  }
}

_Noreturn void child_run(const struct child_plan *plan) {
  report_fd = plan->report_fd;
  if (setsid() < 0) fail(STAGE_SETUP, errno);
  offer_to_oom_killer();
  take_stdio(plan);
  set_limits(plan->request);
  umask(022);
  take_identity(plan->request);
  if (chdir(plan->request->cwd) < 0) fail(STAGE_CWD, errno);
  reset_signals();
  fail(STAGE_EXEC, execute_by_name(plan->argv[0], plan));
}
