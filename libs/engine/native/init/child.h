/* From fork to execve. */
#ifndef SANDBAR_CHILD_H
#define SANDBAR_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "requests.h"

enum child_stage {
  STAGE_SETUP = 1,
  STAGE_IDENTITY = 2,
  STAGE_CWD = 3,
  STAGE_EXEC = 4,
};

/* What a child that could not become the program writes into its report pipe before it ends. */
struct child_report {
  int32_t stage;
  int32_t error;
};

struct child_plan {
  const struct start_request *request;
  char *const *argv;
  char *const *env;
  int stdin_fd;
  int stdout_fd;
  int stderr_fd;
  int report_fd;
};

/* What processes of this sandbox may have; fixed when it starts. */
struct guest_privileges {
  uint64_t root_capabilities;
  /* The bounding set of users other than root, from which set-id programs take. */
  uint64_t user_bounding;
  bool no_new_privileges;
  /* What the kernel's killer is told of them, -1000 … 1000. */
  int oom_score_adj;
};

extern struct guest_privileges guest_privileges;
/* Takes one word of the agent's command line: `--capabilities=HEX`, `--new-privileges` or `--oom-score-adj=N`. False when it is none of them. */
bool privileges_argument(const char *argument);

/* Soft and hard limits that the agent was given, before it raised its own. */
extern struct rlimit inherited_nofile;

/* Once, before the first child: dispositions of signals that children are to inherit, and what of the bounding set they may have to drop. */
void child_prepare(void);
_Noreturn void child_run(const struct child_plan *plan);

#endif
