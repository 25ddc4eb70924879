#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

static int epoll_fd = -1;
static struct epoll_event batch[BATCH];
static int batch_count;

bool loop_open(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  return epoll_fd >= 0;
}

void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t), void *owner) {
  *source = (struct source){.fd = fd, .events = 0, .ready = ready, .owner = owner};
}

bool source_watch(struct source *source, uint32_t events) {
  if (source->fd < 0 || source->events == events) return true;
  int operation = source->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  struct epoll_event event = {.events = events, .data = {.ptr = source}};
  if (epoll_ctl(epoll_fd, operation, source->fd, &event) < 0) return false;
  source->events = events;
  return true;
}

void source_close(struct source *source) {
  if (source->fd < 0) return;
  source_watch(source, 0);
  close(source->fd);
  source->fd = -1;
  /* The owner may be freed before the rest of the batch is handled. */
  for (int i = 0; i < batch_count; i++)
    if (batch[i].data.ptr == source) batch[i].data.ptr = NULL;
}

void loop_turn(int timeout_ms) {
  int count = epoll_wait(epoll_fd, batch, BATCH, timeout_ms);
  batch_count = count < 0 ? 0 : count;
  for (int i = 0; i < batch_count; i++) {
    struct source *source = batch[i].data.ptr;
    /* Unwatched or watched for something else by an earlier handler of this batch: the kernel reports again what still holds. */
    if (source == NULL || source->events == 0) continue;
    source->ready(source, batch[i].events);
  }
  batch_count = 0;
}

uint64_t clock_realtime_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

int64_t clock_monotonic_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void) {
  return clock_monotonic_us() / 1000;
}
