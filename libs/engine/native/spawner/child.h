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

/* Reads what of a launch the spawner itself needs; false when the request is malformed. */
struct launch_head {
  const char *runtime;
  const char *agent;
};
bool peek_launch(struct reader body, struct launch_head *out);

#endif
