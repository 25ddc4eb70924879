#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"

#define BUFFER_SIZE (64 * 1024)

/* Bytes that came from one side and are not with the other yet. */
struct way {
  int from, to;
  size_t held, sent;
  bool ended, closed;
  char bytes[BUFFER_SIZE];
};

static bool waits(void) { return errno == EAGAIN || errno == EINTR; }

/* Reads when there is room, writes when there is something, hands an end on when all before it is through. */
static bool move(struct way *way) {
  if (way->held == 0 && !way->ended) {
    ssize_t size = read(way->from, way->bytes, sizeof way->bytes);
    if (size < 0 && !waits()) return false;
    if (size == 0) way->ended = true;
    if (size > 0) way->held = (size_t)size;
  }
  if (way->sent < way->held) {
    ssize_t size = write(way->to, way->bytes + way->sent, way->held - way->sent);
    if (size < 0 && !waits()) return false;
    if (size > 0) way->sent += (size_t)size;
  }
  if (way->sent == way->held) way->sent = way->held = 0;
  if (way->ended && way->held == 0 && !way->closed) {
    way->closed = true;
    if (shutdown(way->to, SHUT_WR) < 0 && errno != ENOTCONN) return false;
  }
  return true;
}

static short wanted(const struct way *in, const struct way *out) {
  return (short)((in->held == 0 && !in->ended ? POLLIN : 0) | (out->held > 0 ? POLLOUT : 0));
}

/* Nobody is there any more who could take what this way brings. */
static void give_up(struct way *way) {
  way->ended = way->closed = true;
  way->held = way->sent = 0;
}

/*
 * `ours` is a side whose both halves may end; `in` brings from it, `out` to it. poll tells of a side that is wholly gone (POLLHUP) whatever is asked for, and of one
 * whose both halves were ended in order just so: that one is not asked any more.
 */
static struct pollfd side(int ours, const struct way *in, const struct way *out) {
  short events = wanted(in, out);
  return (struct pollfd){.fd = events == 0 && out->closed ? -1 : ours, .events = events};
}

bool pass(int one, int other) {
  static struct way there, back;
  signal(SIGPIPE, SIG_IGN);
  there.from = back.to = one;
  there.to = back.from = other;
  for (int at = 0; at < 2; at++) {
    int fd = at == 0 ? one : other;
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) return false;
  }
  while (!there.closed || !back.closed) {
    struct pollfd polled[2] = {side(one, &there, &back), side(other, &back, &there)};
    if (poll(polled, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    if (((polled[0].revents | polled[1].revents) & (POLLERR | POLLNVAL)) != 0) return false;
    if ((polled[0].revents & POLLHUP) != 0 && there.ended && !back.closed) give_up(&back);
    if ((polled[1].revents & POLLHUP) != 0 && back.ended && !there.closed) give_up(&there);
    if (!move(&there) || !move(&back)) return false;
  }
  return true;
}
