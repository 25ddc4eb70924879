/* The guest's processes: their pipes, their terminals, their ends. */
#ifndef SANDBAR_PROCESSES_H
#define SANDBAR_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "events.h"
#include "frames.h"
#include "loop.h"
#include "protocol.h"
#include "requests.h"

/* Live ones and those whose exit the host has not acknowledged. */
#define MAX_PROCESSES 1024u
/* Of one process; and of all together, so that a host cannot fill the sandbox's memory with them. */
#define STDIN_BUFFER_BYTES (1u << 20)
#define STDIN_TOTAL_BYTES (16u << 20)
#define DRAIN_MS 100

/* Whom to answer: a request of one connection. */
struct asker {
  uint64_t connection;
  uint32_t request;
};

struct waiter {
  struct waiter *next;
  struct asker asker;
};

struct chunk {
  struct chunk *next;
  size_t length;
  size_t taken;
  uint8_t bytes[];
};

/* How fast a stream was read. One that pours rests between two reads, so that more lies in its pipe then. */
struct pour {
  int64_t read_us;
  unsigned reads;
  bool resting;
};

enum process_state { PROCESS_STARTING, PROCESS_RUNNING, PROCESS_ENDED, PROCESS_REPORTED };

struct process {
  struct process *next;
  uint32_t id;
  pid_t pid;
  enum process_state state;
  bool pty;
  /* The connection that it lives and dies with; 0: none. */
  uint64_t tied_to;
  struct source report, in, out, err;
  struct waiter *waiters;

  /* stdin */
  bool in_closing;
  bool in_pending;
  bool in_at_line_start;
  struct asker in_asker;
  struct chunk *in_head, *in_tail;
  size_t in_bytes;
  /* How many bytes the host has got rid of: written to the guest or in the chunks. */
  uint64_t in_taken;

  /* output */
  size_t held;
  bool out_paused, err_paused;
  struct pour out_pour, err_pour;
  /* The host has said so: somebody who reads it lags behind. */
  bool flow_held;
  /* After the drain deadline: what may still be read, else -1. */
  int out_left, err_left;
  int64_t drain_until_ms;

  struct event started, ended;
  uint8_t started_frame[HEADER_BYTES + 12];
  uint8_t ended_frame[HEADER_BYTES + 8 + 32];
};

void process_start(struct asker asker, const struct start_request *request);
void process_write_stdin(struct asker asker, const struct stdin_request *request);
void process_close_stdin(struct asker asker, uint32_t id);
void process_signal(struct asker asker, const struct signal_request *request);
void process_resize(struct asker asker, const struct resize_request *request);
void process_flow(struct asker asker, const struct flow_request *request);
void process_kill_all(struct asker asker);

/* Takes children that have ended, orphans too. True when there may be more. */
bool processes_reap(void);
/* Ends the wait for streams that descendants keep open. Returns ms until the next deadline, or -1. */
int processes_tick(void);
/* The event buffer has room again. */
void processes_resume(void);
/* A connection is over: what was tied to it dies, what it held back goes on. */
void processes_disconnected(uint64_t connection);
/* Of all that were to be started; 0: none yet. */
uint32_t processes_highest(void);

/* Inside: between processes.c, stdin.c and output.c. */
struct process *process_find(uint32_t id);
void stdin_open(struct process *process, int fd);
void stdin_end(struct process *process);
void output_watch(struct process *process);
/* The process has ended: its exit is reported behind its last output. */
void output_ended(struct process *process);
int output_tick(struct process *first);
void output_resume(struct process *first);
void output_flow(struct process *process, bool hold);

#endif
