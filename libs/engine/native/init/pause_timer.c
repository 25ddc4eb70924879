#include "pause_timer.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loop.h"

static struct source timer = {.fd = -1};
static bool armed;
static bool over;

static void ran_out(struct source *source, uint32_t events) {
  (void)events;
  uint64_t times;
  if (read(source->fd, &times, sizeof times) != (ssize_t)sizeof times) return;
  armed = false;
  over = true;
}

static bool open_timer(void) {
  source_init(&timer, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), ran_out, NULL);
  if (timer.fd < 0) return false;
  if (source_watch(&timer, EPOLLIN)) return true;
  source_close(&timer);
  return false;
}

bool pause_timer_arm(unsigned us) {
  if (armed) return true;
  if (timer.fd < 0 && !open_timer()) return false;
  struct itimerspec once = {.it_value = {.tv_nsec = (long)us * 1000}};
  armed = timerfd_settime(timer.fd, 0, &once, NULL) == 0;
  return armed;
}

bool pause_timer_over(void) {
  bool was = over;
  over = false;
  return was;
}
