#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pause_timer.h"
#include "processes.h"

/* How long to wait when there was no memory for output. */
#define STARVED_RETRY_MS 50

/* A stream pours when so many reads in a row have emptied its pipe, each so soon after the one before. */
#define POUR_READS 8u
#define POUR_GAP_US 1000
/* Long enough for a program that writes without pause to fill a good part of its pipe; nobody notices it. */
#define REST_US 300u

static unsigned draining;
static bool starved;

static void finish(struct process *process) {
  if (process->state != PROCESS_ENDED) return;
  draining--;
  source_close(&process->out);
  source_close(&process->err);
  process->state = PROCESS_REPORTED;
  events_append(&process->ended);
}

static void maybe_finish(struct process *process) {
  if (process->out.fd < 0 && process->err.fd < 0) finish(process);
}

static void pause_stream(struct source *source, bool *paused) {
  source_watch(source, 0);
  *paused = true;
}

static void resume(struct process *process, struct source *source, bool *paused, const struct pour *pour) {
  if (!*paused || pour->resting || process->flow_held || !events_room(process->held)) return;
  if (source_watch(source, EPOLLIN)) *paused = false;
}

static void resume_both(struct process *process) {
  resume(process, &process->out, &process->out_paused, &process->out_pour);
  resume(process, &process->err, &process->err_paused, &process->err_pour);
}

void output_ended(struct process *process) {
  draining++;
  process->state = PROCESS_ENDED;
  process->drain_until_ms = clock_monotonic_ms() + DRAIN_MS;
  process->out_pour.resting = process->err_pour.resting = false;
  resume_both(process);
  maybe_finish(process);
}

/*
 * A program that writes four kilobytes at a time would be read as often as it writes, and each piece costs the host as much as sixteen times its bytes would. So
 * one that writes on and on is left alone for a moment, which fills its pipe. What comes now and then is read at once.
 */
static void rest_if_pouring(struct source *source, bool *paused, struct pour *pour, size_t length) {
  int64_t now = clock_monotonic_us();
  if (now - pour->read_us > POUR_GAP_US) pour->reads = 0;
  pour->read_us = now;
  /* There may be more. */
  if (length == MAX_CHUNK_BYTES) return;
  if (pour->reads < POUR_READS) {
    pour->reads++;
    return;
  }
  if (!pause_timer_arm(REST_US)) return;
  pour->resting = true;
  pause_stream(source, paused);
}

static void pump(struct process *process, struct source *source, bool *paused, int *left, struct pour *pour, uint8_t stream) {
  if (process->flow_held || !events_room(process->held)) {
    pause_stream(source, paused);
    return;
  }
  struct event *event = events_new_output(process);
  if (event == NULL) {
    pause_stream(source, paused);
    starved = true;
    return;
  }
  size_t wanted = *left >= 0 && *left < (int)MAX_CHUNK_BYTES ? (size_t)*left : MAX_CHUNK_BYTES;
  ssize_t length = read(source->fd, output_data(event), wanted);
  if (length <= 0) {
    int error = errno;
    free(event);
    if (length < 0 && (error == EAGAIN || error == EINTR)) return;
    /* The end; a terminal says EIO when nobody has it open any more. */
    source_close(source);
    maybe_finish(process);
    return;
  }
  events_append_output(event, process->id, stream, clock_realtime_us(), (uint32_t)length);
  if (*left < 0) {
    if (process->state != PROCESS_ENDED) rest_if_pouring(source, paused, pour, (size_t)length);
    return;
  }
  *left -= (int)length;
  if (*left == 0) source_close(source);
  maybe_finish(process);
}

static void out_ready(struct source *source, uint32_t events) {
  (void)events;
  struct process *process = source->owner;
  pump(process, source, &process->out_paused, &process->out_left, &process->out_pour, FLAG_STDOUT);
}

static void err_ready(struct source *source, uint32_t events) {
  (void)events;
  struct process *process = source->owner;
  pump(process, source, &process->err_paused, &process->err_left, &process->err_pour, FLAG_STDERR);
}

void output_watch(struct process *process) {
  process->out.ready = out_ready;
  process->err.ready = err_ready;
  process->out_left = process->err_left = -1;
  if (!source_watch(&process->out, EPOLLIN) || !source_watch(&process->err, EPOLLIN)) {
    /* No kernel memory for the watch: as if it had been killed for want of memory. */
    source_close(&process->out);
    source_close(&process->err);
  }
}

/* What lies in the pipe now is the last that counts; at most the pipe's capacity. */
static void bound(struct source *source, int *left) {
  if (source->fd < 0 || *left >= 0) return;
  int available = 0;
  if (ioctl(source->fd, FIONREAD, &available) < 0) available = 0;
  *left = available;
  if (available <= 0) source_close(source);
}

static void end_rest(struct process *first) {
  for (struct process *process = first; process != NULL; process = process->next) {
    if (!process->out_pour.resting && !process->err_pour.resting) continue;
    process->out_pour.resting = process->err_pour.resting = false;
    resume_both(process);
  }
}

int output_tick(struct process *first) {
  int next_ms = -1;
  if (pause_timer_over()) end_rest(first);
  if (starved) {
    starved = false;
    next_ms = STARVED_RETRY_MS;
    output_resume(first);
  }
  if (draining == 0) return next_ms;
  int64_t now = clock_monotonic_ms();
  for (struct process *process = first; process != NULL; process = process->next) {
    if (process->state != PROCESS_ENDED) continue;
    if (process->drain_until_ms > now) {
      int wait = (int)(process->drain_until_ms - now);
      if (next_ms < 0 || wait < next_ms) next_ms = wait;
      continue;
    }
    bound(&process->out, &process->out_left);
    bound(&process->err, &process->err_left);
    maybe_finish(process);
  }
  return next_ms;
}

void output_resume(struct process *first) {
  for (struct process *process = first; process != NULL; process = process->next) resume_both(process);
}

void output_flow(struct process *process, bool hold) {
  process->flow_held = hold;
  if (!hold) resume_both(process);
}
