/* Tries what a sandbox must refuse and prints one line `name errno` each (0: it worked). For the tests of the walls. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, long result) { printf("%s %d\n", name, result < 0 ? errno : 0); }

static void say_open(const char *name, const char *path, int flags) {
  int fd = open(path, flags, 0600);
  char byte;
  long result = fd;
  if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY) result = read(fd, &byte, 1);
  /* A masked file opens, as /dev/null: what counts is what can be read. */
  if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY && result == 0) {
    errno = ENODATA;
    result = -1;
  }
  say(name, result);
  if (fd >= 0) close(fd);
}

int main(void) {
  char buffer[256] = {0};
  struct iovec iov = {.iov_base = buffer, .iov_len = sizeof buffer};
  say("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
  say("umount", umount2("/proc", MNT_DETACH));
  say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
  say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  say("pivot_root", syscall(SYS_pivot_root, "/", "/"));
  say("ptrace_attach", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
  say("ptrace_me", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  say("process_vm_readv", process_vm_readv(1, &iov, 1, &iov, 1, 0));
  say("pidfd_getfd", syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, 1, 0), 3, 0));
  say("unshare_user", unshare(CLONE_NEWUSER));
  say("unshare_mount", unshare(CLONE_NEWNS));
  say("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
  say("clone_net", syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, NULL, NULL, NULL, NULL));
  say("clone3", syscall(SYS_clone3, buffer, 64));
  say("setns", setns(0, 0));
  say("socket_raw", socket(AF_INET, SOCK_RAW, 1));
  say("socket_raw6", socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 58));
  say("socket_packet", socket(AF_PACKET, SOCK_DGRAM, 0));
  say("socket_vsock", socket(40, SOCK_STREAM, 0));
  say("socket_alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
  say("socket_netfilter", socket(AF_NETLINK, SOCK_RAW, 12));
  say("socket_audit", socket(AF_NETLINK, SOCK_RAW, 9));
  say("socket_tcp", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  say("socket_udp6", socket(AF_INET6, SOCK_DGRAM, 0));
  say("socket_unix", socket(AF_UNIX, SOCK_SEQPACKET, 0));
  say("socket_route", socket(AF_NETLINK, SOCK_RAW, 0));
  say("mknod_device", mknod("/tmp/sda", S_IFBLK | 0600, makedev(8, 0)));
  say("mknod_fifo", mknod("/tmp/fifo", S_IFIFO | 0600, 0));
  say("init_module", syscall(SYS_init_module, buffer, 0, ""));
  say("finit_module", syscall(SYS_finit_module, 0, "", 0));
  say("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, buffer, sizeof buffer));
  say("perf_event_open", syscall(SYS_perf_event_open, buffer, 0, -1, -1, 0));
  say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  say("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
  say("io_uring_setup", syscall(SYS_io_uring_setup, 1, buffer));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, buffer, 0));
  say("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  say("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
  say("swapon", syscall(SYS_swapon, "/tmp/x", 0));
  say("syslog", syscall(SYS_syslog, 3, buffer, 16));
  say("sethostname", sethostname("x", 1));
  say("personality_32", syscall(SYS_personality, 0x400000));
  say("personality_0", syscall(SYS_personality, 0));
  say("unknown_syscall", syscall(9999));
  say_open("proc_1_environ", "/proc/1/environ", O_RDONLY);
  say_open("proc_1_mem", "/proc/1/mem", O_RDWR);
  say_open("proc_sys", "/proc/sys/net/ipv4/ip_forward", O_WRONLY);
  say_open("proc_sys_kernel", "/proc/sys/kernel/core_pattern", O_WRONLY);
  say_open("proc_sysrq", "/proc/sysrq-trigger", O_WRONLY);
  say_open("proc_kcore", "/proc/kcore", O_RDONLY);
  say_open("sys_write", "/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY);
  say_open("dev_create", "/dev/planted", O_WRONLY | O_CREAT);
  say_open("agent_write", "/dev/.sandbar-init", O_WRONLY);
  say_open("dev_null", "/dev/null", O_WRONLY);
  say_open("dev_urandom", "/dev/urandom", O_RDONLY);
  say_open("shm_create", "/dev/shm/x", O_WRONLY | O_CREAT);
  say_open("ptmx", "/dev/ptmx", O_RDWR);
  say_open("work_create", "/tmp/work", O_WRONLY | O_CREAT);
  return 0;
}
