#ifndef SANDBAR_SPAWNER_JOBS_H
#define SANDBAR_SPAWNER_JOBS_H

#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

enum op { OP_EXEC = 1, OP_LAUNCH = 2 };

/* One descriptor in the epoll set. `job` is NULL for the spawner's own. */
struct source {
  int fd;
  int epoll;
  struct job *job;
};

/* A request in flight: the child and the pipes to it. */
struct job {
  struct job *next;
  uint32_t id;
  pid_t pid;
  int64_t deadline_ms;
  bool timed_out;
  bool ended;
  struct source in, out, err;
  int report;
  uint8_t *stdin_data;
  size_t stdin_size, stdin_sent;
  struct buffer out_data, err_data;
};

/* Starts the request in `frame` (id and op already taken); its answer goes to `answers`, at once when no child could be made. */
void job_start(int epoll, uint32_t id, uint8_t op, const uint8_t *frame, size_t size, struct buffer *answers);
/* Moves bytes between a job and its pipes. */
void job_io(struct source *source);
/* Takes the status of every child that has ended, ours by request or adopted; answers for the former. */
void jobs_reap(struct buffer *answers);
/* Kills what is past its deadline. Returns the milliseconds until the next one, or -1. */
int jobs_expire(void);
/* Frees jobs that have ended. Only between two batches of epoll events: the batch may still name them. */
void jobs_bury(void);
int64_t now_ms(void);

#endif
