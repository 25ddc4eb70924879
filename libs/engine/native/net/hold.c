#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net.h"

#define BACKLOG 4

static const struct {
  const char *path, *value;
  /* Not every kernel has it. */
  bool optional;
} settings[] = {
    {"ipv4/ip_forward", "1", false},
    {"ipv4/conf/all/rp_filter", "0", false},
    {"ipv4/conf/default/rp_filter", "0", false},
    {"ipv4/conf/all/accept_redirects", "0", false},
    {"ipv4/conf/default/accept_redirects", "0", false},
    {"ipv4/conf/all/send_redirects", "0", false},
    {"ipv4/conf/default/send_redirects", "0", false},
    {"ipv4/conf/all/accept_source_route", "0", false},
    /* A gateway answers for its own network alone. */
    {"ipv4/conf/all/arp_ignore", "1", false},
    /* Sandboxes in here have no privileges over it: what Docker gives to all containers. */
    {"ipv4/ip_unprivileged_port_start", "0", false},
    {"ipv4/ping_group_range", "0 2147483647", false},
    {"ipv6/conf/all/disable_ipv6", "1", true},
    {"ipv6/conf/default/disable_ipv6", "1", true},
    {"ipv6/conf/lo/disable_ipv6", "0", true},
    /* Between members of one bridge nothing is filtered as if it were routed. */
    {"bridge/bridge-nf-call-iptables", "0", true},
    {"bridge/bridge-nf-call-ip6tables", "0", true},
    {"bridge/bridge-nf-call-arptables", "0", true},
};

static void prepare_space(void) {
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
    if (!write_sysctl(settings[i].path, settings[i].value) && !(settings[i].optional && errno == ENOENT)) fail(settings[i].path);
  int fd = netlink_open(NETLINK_ROUTE);
  if (fd < 0 || !set_up(fd, "lo")) fail("lo");
  close(fd);
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail("socket");
  }
  strcpy(address.sun_path, path);
  unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  umask(0177);
  if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0) fail("socket");
  return fd;
}

/* Names of guests pass through this process: it keeps nothing but its descriptors. Ports below 1024 are free to all in its name space. */
static void give_up_privileges(void) {
  struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {{0}, {0}};
  for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++) {
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &head, none) < 0) fail("give up privileges");
}

static void ask_to_be_spared(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, "-999", 4);
  (void)written;
  close(fd);
}

static _Noreturn void become_holder(int ready, const char *socket_path) {
  setsid();
  signal(SIGPIPE, SIG_IGN);
  if (chdir("/") < 0 || unshare(CLONE_NEWNET) < 0) fail("make a name space");
  prepare_space();
  int listener = listen_at(socket_path);
  ask_to_be_spared();
  give_up_privileges();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail("/dev/null");
  if (write(ready, "1", 1) != 1) exit(1);
  for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
  /* The listener is the one thing to keep. */
  dup2(listener, 3);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  close_range(4, ~0U, 0);
  relay(3);
}

int hold(const char *socket_path) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) fail("pipe");
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    /* Whoever started us waits for our end, and ends us with itself; the child loses that setting. */
    close(ready[0]);
    become_holder(ready[1], socket_path);
  }
  close(ready[1]);
  char said;
  if (read(ready[0], &said, 1) != 1) {
    waitpid(pid, NULL, 0);
    return 1;
  }
  printf("%d\n", pid);
  return 0;
}
