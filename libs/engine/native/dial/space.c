#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"

#define START_TIME_FIELD 22
#define STATE_FIELD 3

/* Field 2, the name, may hold blanks and brackets: fields are counted from its last bracket. 0 when there is no such process. */
static unsigned long long start_of(int pid) {
  char path[64], stat[2048];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t size = read(fd, stat, sizeof stat - 1);
  close(fd);
  if (size <= 0) return 0;
  stat[size] = 0;
  char *at = strrchr(stat, ')');
  for (int field = STATE_FIELD - 1; at != NULL && field < START_TIME_FIELD; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

int open_space(int pid, unsigned long long start) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  /* Looked at after it was opened: a pid that was given to another process meanwhile does not pass. */
  if (start != 0 && start_of(pid) == start) return fd;
  close(fd);
  errno = ESRCH;
  return -1;
}
