/** OCI runtime-spec, config-linux.md, "Seccomp". */
export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly { readonly index: number; readonly value: number; readonly valueTwo?: number; readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_GT' | 'SCMP_CMP_MASKED_EQ' }[];
}

const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;

/** What programs need, by manual page section. Names that an architecture lacks are skipped there. */
const ALLOWED: readonly string[] = `
  read write open close stat fstat lstat newfstatat statx statfs fstatfs poll ppoll lseek pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 access faccessat faccessat2
  openat openat2 creat close_range dup dup2 dup3 pipe pipe2 select pselect6 fcntl flock fsync fdatasync sync syncfs sync_file_range truncate ftruncate fallocate fadvise64 readahead
  getdents getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat symlink symlinkat readlink readlinkat mknod mknodat
  chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat umask utime utimes utimensat futimesat chroot cachestat
  setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr
  sendfile copy_file_range splice tee vmsplice ioctl inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
  epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime
  io_setup io_destroy io_getevents io_pgetevents io_submit io_cancel
  mmap mprotect munmap mremap msync mincore madvise brk mlock mlock2 munlock mlockall munlockall memfd_create remap_file_pages pkey_mprotect pkey_alloc pkey_free membarrier mseal
  shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
  rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend sigaltstack pause kill tkill tgkill pidfd_open pidfd_send_signal
  sched_yield sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_setaffinity sched_getaffinity
  sched_setattr sched_getattr getpriority setpriority ioprio_set ioprio_get getcpu
  nanosleep clock_gettime clock_getres clock_nanosleep gettimeofday time times adjtimex clock_adjtime getitimer setitimer alarm timer_create timer_settime timer_gettime timer_getoverrun timer_delete
  fork vfork execve execveat exit exit_group wait4 waitid set_tid_address restart_syscall rseq futex futex_waitv futex_wait futex_wake futex_requeue set_robust_list get_robust_list
  arch_prctl prctl seccomp set_thread_area get_thread_area capget capset uname sysinfo getrandom getrlimit setrlimit prlimit64 getrusage
  getpid getppid gettid getuid geteuid getgid getegid getgroups getresuid getresgid getpgid getpgrp getsid setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid setpgid setsid
  connect accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt
`
  .trim()
  .split(/\s+/);

/**
 * Known and refused with EPERM, so that a program sees "not permitted". What is neither here nor above is answered with ENOSYS: the C
 * libraries fall back from calls that are newer than this list only then.
 */
const REFUSED: readonly string[] = `
  mount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr statmount listmount
  unshare setns ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp
  kexec_load kexec_file_load init_module finit_module delete_module create_module query_module get_kernel_syms reboot swapon swapoff acct quotactl quotactl_fd syslog
  bpf perf_event_open keyctl add_key request_key userfaultfd open_by_handle_at name_to_handle_at fanotify_init fanotify_mark lookup_dcookie
  io_uring_setup io_uring_enter io_uring_register settimeofday clock_settime sethostname setdomainname vhangup iopl ioperm modify_ldt
  uselib ustat sysfs _sysctl nfsservctl vserver mbind set_mempolicy get_mempolicy set_mempolicy_home_node migrate_pages move_pages memfd_secret
`
  .trim()
  .split(/\s+/);

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. (CLONE_NEWTIME is a signal number in clone's flags.) */
const NAMESPACE_FLAGS = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000] as const;

const AF = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
const SOCK = { stream: 1, dgram: 2, seqpacket: 5 } as const;
/** The low bits of socket(2)'s type; above them are SOCK_NONBLOCK and SOCK_CLOEXEC. */
const SOCK_TYPE_MASK = 0xf;
const NETLINK_ROUTE = 0;
const NETLINK_AUDIT = 9;
/** The answers that setarch and language runtimes need: PER_LINUX, ADDR_COMPAT_LAYOUT's kin as Docker has them, and the query. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff] as const;

function allowSocket(family: number, types: readonly number[]): SeccompRule[] {
  return types.map((type) => ({
    names: ['socket'],
    action: 'SCMP_ACT_ALLOW',
    args: [
      { index: 0, value: family, op: 'SCMP_CMP_EQ' },
      { index: 1, value: SOCK_TYPE_MASK, valueTwo: type, op: 'SCMP_CMP_MASKED_EQ' },
    ],
  }));
}

function refuse(name: string, args: SeccompRule['args'], errnoRet = EPERM): SeccompRule {
  return { names: [name], action: 'SCMP_ACT_ERRNO', errnoRet, ...(args === undefined ? {} : { args }) };
}

function netlink(protocol: number, op: 'SCMP_CMP_EQ' | 'SCMP_CMP_GT' = 'SCMP_CMP_EQ'): NonNullable<SeccompRule['args']> {
  return [
    { index: 0, value: AF.netlink, op: 'SCMP_CMP_EQ' },
    { index: 2, value: protocol, op },
  ];
}

function socketRules(): SeccompRule[] {
  const refusedFamilies = [0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
  // SOCK_RAW, SOCK_RDM, SOCK_PACKET and numbers that no type has.
  const refusedTypes = [3, 4, 5, 10];
  return [
    ...allowSocket(AF.unix, [SOCK.stream, SOCK.dgram, SOCK.seqpacket]),
    ...allowSocket(AF.inet, [SOCK.stream, SOCK.dgram]),
    ...allowSocket(AF.inet6, [SOCK.stream, SOCK.dgram]),
    { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: netlink(NETLINK_ROUTE) },
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((protocol) => refuse('socket', netlink(protocol))),
    // As on a kernel without it: useradd, groupadd and passwd give up when they may not speak to one that is there (audit_open(3)).
    refuse('socket', netlink(NETLINK_AUDIT), EPROTONOSUPPORT),
    refuse('socket', netlink(NETLINK_AUDIT, 'SCMP_CMP_GT')),
    ...refusedFamilies.map((family) => refuse('socket', [{ index: 0, value: family, op: 'SCMP_CMP_EQ' }])),
    // AF_PACKET, AF_ALG, AF_VSOCK and all that came later.
    refuse('socket', [{ index: 0, value: AF.netlink, op: 'SCMP_CMP_GT' }]),
    ...[AF.inet, AF.inet6].flatMap((family) =>
      refusedTypes.map((type) =>
        refuse('socket', [
          { index: 0, value: family, op: 'SCMP_CMP_EQ' },
          { index: 1, value: SOCK_TYPE_MASK, valueTwo: type, op: 'SCMP_CMP_MASKED_EQ' },
        ]),
      ),
    ),
  ];
}

function cloneRules(): SeccompRule[] {
  const mask = NAMESPACE_FLAGS.reduce<number>((sum, flag) => sum + flag, 0);
  return [
    { names: ['clone'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: mask, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }] },
    ...NAMESPACE_FLAGS.map((flag) => refuse('clone', [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }])),
    // Its flags lie in memory, out of a filter's sight: the C libraries fall back to clone.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ];
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

/**
 * The filter of every sandbox: an allow-list. 32-bit and x32 programs are killed: socketcall(2) and the other multiplexed calls of those
 * ABIs cannot be filtered by argument.
 */
export function seccompProfile(architecture: string = process.arch): SeccompProfile {
  const native = ARCHITECTURES[architecture];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: native === undefined ? [] : [native],
    syscalls: [
      { names: ALLOWED, action: 'SCMP_ACT_ALLOW' },
      { names: REFUSED, action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
      ...cloneRules(),
      ...socketRules(),
      ...PERSONALITIES.map((value): SeccompRule => ({ names: ['personality'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] })),
    ],
  };
}
