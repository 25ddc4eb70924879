/*
 * A guest agent for the tests of the walls: PID 1 that reaps and, per connection on descriptor 3, reads one line, runs it with /bin/sh -c and
 * answers with its output and a last line "status=N".
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void serve(int connection) {
  char line[65536];
  size_t size = 0;
  while (size < sizeof line - 1) {
    ssize_t got = read(connection, line + size, sizeof line - 1 - size);
    if (got <= 0) break;
    size += (size_t)got;
    if (line[size - 1] == '\n') break;
  }
  line[size] = 0;
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_DUMPABLE, 1);
    setsid();
    dup2(connection, 1);
    dup2(connection, 2);
    close_range(3, ~0U, 0);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  dprintf(connection, "status=%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(void) {
  prctl(PR_SET_DUMPABLE, 0);
  for (;;) {
    int connection = accept4(3, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) return 1;
    /* A child serves, so that connections do not wait for each other. */
    if (fork() == 0) {
      serve(connection);
      _exit(0);
    }
    close(connection);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
}
