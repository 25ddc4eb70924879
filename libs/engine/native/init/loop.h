/* One epoll loop, one thread. */
#ifndef SANDBAR_LOOP_H
#define SANDBAR_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct source {
  int fd;
  uint32_t events; /* as registered; 0 when the loop does not know of it */
  void (*ready)(struct source *source, uint32_t events);
  void *owner;
};

bool loop_open(void);
void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t), void *owner);
/*
 * Waits for `events`, or with 0 for nothing: then the loop forgets it, since epoll reports hang-ups even to those who wait for
 * nothing. False without kernel memory.
 */
bool source_watch(struct source *source, uint32_t events);
/* Closes its descriptor. A report already taken from the kernel is dropped. Idempotent. */
void source_close(struct source *source);
/* Handles what is ready, after at most `timeout_ms` (-1: for ever). */
void loop_turn(int timeout_ms);

uint64_t clock_realtime_us(void);
int64_t clock_monotonic_us(void);
int64_t clock_monotonic_ms(void);

#endif
