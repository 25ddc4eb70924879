/*
 * For the tests of privileges, since busybox gives up what a set-id program has been given. `identity`: prints effective uid, permitted
 * capabilities and no_new_privs. `identity as UID PROGRAM…`: becomes that user first. `identity grant FILE CAPABILITY`: as setcap(8), permitted and effective.
 * `identity exchange A B…`: exchanges the names A and B, then A and the next, and so on until stdin ends. `identity attributes FILE…`: names of extended attributes, one a line.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc > 3 && strcmp(argv[1], "as") == 0) {
    const unsigned id = (unsigned)atoi(argv[2]);
    if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0) return 1;
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
  }
  if (argc > 3 && strcmp(argv[1], "grant") == 0) {
    struct vfs_cap_data data = {.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE)};
    const int capability = atoi(argv[3]);
    data.data[capability / 32].permitted = htole32(1u << (capability % 32));
    if (setxattr(argv[2], "security.capability", &data, sizeof data, 0) == 0) return 0;
    perror("setxattr");
    return 1;
  }
  if (argc > 3 && strcmp(argv[1], "exchange") == 0) {
    unsigned long rounds = 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (; poll(&input, 1, 0) == 0; rounds++)
      for (int i = 3; i < argc; i++)
        /* There and back: A is what it was before the next. */
        for (int way = 0; way < 2; way++)
          if (renameat2(AT_FDCWD, argv[2], AT_FDCWD, argv[i], RENAME_EXCHANGE) < 0) return 1;
    printf("%lu\n", rounds);
    return 0;
  }
  if (argc > 1 && strcmp(argv[1], "attributes") == 0) {
    for (int i = 2; i < argc; i++) {
      char names[4096];
      const ssize_t size = llistxattr(argv[i], names, sizeof names);
      if (size < 0) return 1;
      for (const char *name = names; name < names + size; name += strlen(name) + 1) puts(name);
    }
    return 0;
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) < 0) return 1;
  printf("%u %08x%08x %d\n", geteuid(), sets[1].permitted, sets[0].permitted, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  return 0;
}
