#ifndef SANDBAR_SPAWNER_CHILD_H
#define SANDBAR_SPAWNER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

/* What runs between fork and exec. Nothing here returns to the loop: a failure is reported on the pipe and ends the child. */

/* Tells the parent `step` and errno, and exits. */
_Noreturn void fail(const char *step);
/* The write end of the report pipe; to be set first. */
void report_to(int fd);

_Noreturn void run_exec(struct reader *body);
/* `program`: a copy of argv[0] to be executed in its place, or -1. */
_Noreturn void run_launch(struct reader *body, int program);

struct rootfs {
  const char *mount_point;
  char **lower_dirs;
  uint64_t upper_bytes;
  uint64_t upper_inodes;
  uint32_t id_start;
  uint32_t id_count;
};

/* Reads what of a launch the spawner itself needs; false when the request is malformed. */
struct launch_head {
  const char *runtime;
  const char *agent;
};
bool peek_launch(struct reader body, struct launch_head *out);

/* Moves the process into a mount name space of its own and builds the root file system at `<mount_point>/rootfs`. */
void build_rootfs(const struct rootfs *rootfs);

#endif
