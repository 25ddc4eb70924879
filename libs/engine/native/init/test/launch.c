/*
 * For tests: runs an agent as process 1 of name spaces of its own, uids 0 … 65535 shifted to 200000. `launch SOCKET AGENT`.
 * /proc, /dev and a tmpfs on /mnt (the guest's working place) are the sandbox's; the rest is the machine's, read as nobody.
 * It ends when the agent does, and the agent when it does.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* As in child.c. */
#define GUEST_ROOT_CAPABILITIES 0xa00405fbull

static void must(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  _exit(1);
}

static void write_file(const char *format, pid_t pid, const char *text) {
  char path[64];
  snprintf(path, sizeof path, format, pid);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  must(fd, path);
  must((int)write(fd, text, strlen(text)), path);
  close(fd);
}

static void mount_device(const char *name) {
  char from[64], to[64];
  snprintf(from, sizeof from, "/dev/%s", name);
  snprintf(to, sizeof to, "/mnt/%s", name);
  must(open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0666), to);
  must(mount(from, to, NULL, MS_BIND, NULL), to);
}

static void furnish(void) {
  const char *devices[] = {"null", "zero", "full", "urandom", "random", "tty"};
  must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
  must(mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755,size=64k"), "dev");
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) mount_device(devices[i]);
  must(mkdir("/mnt/pts", 0755), "pts");
  must(mount("devpts", "/mnt/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"), "devpts");
  must(symlink("pts/ptmx", "/mnt/ptmx"), "ptmx");
  must(symlink("/proc/self/fd", "/mnt/fd"), "fd");
  must(mount("/mnt", "/dev", NULL, MS_MOVE, NULL), "move dev");
  must(mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID, "mode=777,size=96m"), "work");
}

static _Noreturn void run(int listener, const char *agent) {
  must(setgid(0), "setgid");
  must(setuid(0), "setuid");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pid_t inner = fork();
  must(inner, "fork");
  if (inner == 0) {
    char *const words[] = {"sandbar-init", NULL};
    char *const env[] = {"SECRET=agent-only", NULL};
    furnish();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* No more than guest root gets: so what closes the agent to guest root is not that it holds more. */
    for (unsigned long bit = 0; bit <= CAP_LAST_CAP; bit++)
      if ((GUEST_ROOT_CAPABILITIES & (1ull << bit)) == 0) prctl(PR_CAPBSET_DROP, bit, 0, 0, 0);
    if (listener == 3) must(fcntl(3, F_SETFD, 0), "descriptor 3");
    else must(dup2(listener, 3), "descriptor 3");
    execve(agent, words, env);
    must(-1, agent);
  }
  int status = 0;
  waitpid(inner, &status, 0);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* The name appears once somebody listens behind it. */
  snprintf(address.sun_path, sizeof address.sun_path, "%.100s.new", argv[1]);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(listener, "socket");
  must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
  must(listen(listener, 8), "listen");
  must(rename(address.sun_path, argv[1]), "rename");
  int unshared[2], mapped[2];
  char byte;
  must(pipe2(unshared, O_CLOEXEC), "pipe");
  must(pipe2(mapped, O_CLOEXEC), "pipe");
  pid_t outer = fork();
  must(outer, "fork");
  if (outer == 0) {
    must(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP), "unshare");
    must((int)write(unshared[1], "u", 1), "tell");
    must(read(mapped[0], &byte, 1) == 1 ? 0 : -1, "wait for the maps");
    run(listener, argv[2]);
  }
  must(read(unshared[0], &byte, 1) == 1 ? 0 : -1, "wait for the name spaces");
  write_file("/proc/%d/uid_map", outer, "0 200000 65536");
  write_file("/proc/%d/gid_map", outer, "0 200000 65536");
  must((int)write(mapped[1], "m", 1), "tell");
  close(listener);
  int status = 0;
  waitpid(outer, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
