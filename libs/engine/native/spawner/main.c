/*
 * sandbar-spawner: starts programs for the worker. Requests come on stdin, answers go to stdout (docs/engine/spawner-protocol.md);
 * it ends when stdin does. One thread, one epoll loop; all that blocks happens in the child of a request.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "jobs.h"
#include "programs.h"

#define MAX_FRAME (16 * 1024 * 1024)
#define EVENTS 64

static struct buffer requests, answers;
static struct source control_in = {.fd = 0}, control_out = {.fd = 1}, children;
static bool out_watched;

static _Noreturn void die(const char *what) {
  fprintf(stderr, "sandbar-spawner: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void watch_own(int epoll, struct source *source, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  if (fcntl(source->fd, F_SETFL, fcntl(source->fd, F_GETFL) | O_NONBLOCK) < 0 || fcntl(source->fd, F_SETFD, FD_CLOEXEC) < 0 ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, source->fd, &event) < 0)
    die("epoll");
}

/* Starts every request that is whole. */
static void dispatch(int epoll) {
  size_t at = 0;
  while (requests.size - at >= 4) {
    struct reader frame = {.at = requests.data + at, .end = requests.data + requests.size};
    const uint32_t size = read_u32(&frame);
    if (size < 5 || size > MAX_FRAME) {
      errno = EBADMSG;
      die("request frame");
    }
    if (requests.size - at - 4 < size) break;
    const uint32_t id = read_u32(&frame);
    job_start(epoll, id, *frame.at, frame.at + 1, size - 5, &answers);
    at += 4 + (size_t)size;
  }
  if (at > 0) consume(&requests, at);
}

static void receive(int epoll) {
  uint8_t chunk[65536];
  ssize_t got = read(0, chunk, sizeof chunk);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* The worker is gone. What was launched lives on; what is still in flight dies with us (PR_SET_PDEATHSIG). */
  if (got <= 0) exit(0);
  append(&requests, chunk, (size_t)got);
  dispatch(epoll);
}

static void send_answers(int epoll) {
  while (answers.size > 0) {
    ssize_t sent = write(1, answers.data, answers.size);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) exit(0);
    if (sent < 0) break;
    consume(&answers, (size_t)sent);
  }
  const bool wanted = answers.size > 0;
  if (wanted == out_watched) return;
  struct epoll_event event = {.events = wanted ? EPOLLOUT : 0, .data.ptr = &control_out};
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, 1, &event) < 0) die("epoll");
  out_watched = wanted;
}

int main(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  /* What the worker's own parent left open is nobody's business below. */
  close_range(STDERR_FILENO + 1, ~0U, 0);
  /* Out of the worker's terminal and process group: Ctrl-C is the worker's to handle. */
  setsid();
  signal(SIGPIPE, SIG_IGN);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_SETMASK, &mask, NULL);
  enter_own_mounts();
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  children.fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (epoll < 0 || children.fd < 0) die("start");
  watch_own(epoll, &control_in, EPOLLIN);
  watch_own(epoll, &control_out, 0);
  watch_own(epoll, &children, EPOLLIN);
  for (;;) {
    struct epoll_event events[EVENTS];
    const int count = epoll_wait(epoll, events, EVENTS, jobs_expire());
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      struct source *source = events[i].data.ptr;
      if (source == &control_in) {
        receive(epoll);
      } else if (source == &children) {
        struct signalfd_siginfo info;
        while (read(children.fd, &info, sizeof info) == (ssize_t)sizeof info) {
        }
        jobs_reap(&answers);
      } else if (source != &control_out) {
        job_io(source);
      }
    }
    send_answers(epoll);
    jobs_bury();
  }
}
