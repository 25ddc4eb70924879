/*
 * sandbar-net: what a worker changes in network name spaces (docs/engine/networks.md).
 *
 *   sandbar-net hold INSTANCE TENANT SOCKET   makes a name space, leaves a process that holds it and relays names, prints its pid
 *   sandbar-net apply                         carries out the lines of stdin, over netlink
 *   sandbar-net run PID START PROGRAM [ARG…]  executes a program in the name space of a process
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"

_Noreturn void fail(const char *step) {
  fprintf(stderr, "%s: %s\n", step, strerrorname_np(errno));
  exit(1);
}

static _Noreturn void run(char **argv) {
  int space = open_space(atoi(argv[0]), strtoull(argv[1], NULL, 10));
  if (space < 0 || !enter_space(space)) fail("enter the name space");
  execvp(argv[2], argv + 2);
  fail(argv[2]);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "apply") == 0) return apply();
  if (argc == 5 && strcmp(argv[1], "hold") == 0) return hold(argv[4]);
  if (argc >= 5 && strcmp(argv[1], "run") == 0) run(argv + 2);
  errno = EINVAL;
  fail("command line");
}
