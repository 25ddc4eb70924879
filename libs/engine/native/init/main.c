/*
 * sandbar-init: PID 1 of a sandbox. Descriptor 3 is a listening Unix socket that only the host can reach; everything else is said
 * there. See docs/engine/agent-protocol.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"
#include "connection.h"
#include "loop.h"
#include "processes.h"

#define LISTENER_FD 3

static struct source children;
static bool reap_again;

static void children_ready(struct source *source, uint32_t events) {
  (void)events;
  struct signalfd_siginfo ignored[16];
  while (read(source->fd, ignored, sizeof ignored) > 0) continue;
  reap_again = true;
}

static _Noreturn void give_up(const char *what) {
  dprintf(2, "sandbar-init: %s\n", what);
  _exit(64);
}

/* The guest's root has the same uid. What it must not read are this process's memory, environment and descriptors. */
static void close_to_guests(char **env) {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) give_up("cannot become undumpable");
  for (; *env != NULL; env++) memset(*env, 0, strlen(*env));
}

static void take_descriptors(void) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(LISTENER_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening) give_up("descriptor 3 is no listening socket");
  if (fcntl(LISTENER_FD, F_SETFD, FD_CLOEXEC) < 0 || fcntl(LISTENER_FD, F_SETFL, O_NONBLOCK) < 0) give_up("cannot prepare descriptor 3");
  syscall(SYS_close_range, LISTENER_FD + 1u, ~0u, 0u);
  /* Whoever started the sandbox waits for the end of these; and descriptors of guests must come above them. */
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) give_up("cannot open /dev/null");
  for (int fd = 0; fd <= 2; fd++)
    if (null != fd) dup2(null, fd);
  if (null > 2) close(null);
  struct rlimit most;
  if (getrlimit(RLIMIT_NOFILE, &inherited_nofile) < 0) return;
  most = (struct rlimit){.rlim_cur = inherited_nofile.rlim_max, .rlim_max = inherited_nofile.rlim_max};
  setrlimit(RLIMIT_NOFILE, &most);
}

/* The kernel keeps signals from PID 1 that it has no handler for; only its own broken pipes are left to ignore. */
static int open_signals(void) {
  sigset_t wanted;
  sigemptyset(&wanted);
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigaction(SIGPIPE, &ignore, NULL);
  sigaddset(&wanted, SIGCHLD);
  sigprocmask(SIG_SETMASK, &wanted, NULL);
  return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Best effort: it takes a privilege that a sandbox rarely has. Guests raise their own. */
static void ask_to_be_spared(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, "-999", 4);
  (void)written;
  close(fd);
}

static int sooner(int left, int right) {
  if (left < 0) return right;
  return right < 0 || left < right ? left : right;
}

int main(int argc, char **argv, char **env) {
  for (int i = 1; i < argc; i++)
    if (!privileges_argument(argv[i])) give_up("unknown argument");
  /* kill(-1) means "the sandbox" only from here. */
  if (getpid() != 1) give_up("must be process 1 of its name space");
  close_to_guests(env);
  take_descriptors();
  ask_to_be_spared();
  umask(0);
  if (chdir("/") < 0) _exit(65);
  /* Large blocks go back to the kernel when they are freed: they count against the guest's memory. */
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  mallopt(M_TRIM_THRESHOLD, 128 << 10);
  child_prepare();
  int signals = open_signals();
  if (signals < 0 || !loop_open() || !listener_open(LISTENER_FD)) _exit(66);
  source_init(&children, signals, children_ready, NULL);
  if (!source_watch(&children, EPOLLIN)) _exit(66);
  for (;;) {
    reap_again = reap_again && processes_reap();
    int processes_ms = processes_tick();
    connection_flush();
    loop_turn(reap_again ? 0 : sooner(processes_ms, connection_tick()));
  }
}
