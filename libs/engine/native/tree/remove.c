#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

/* Deeper folders are moved up to the top one first, so that no depth takes all descriptors. */
#define MAX_DEPTH 64
/* Somebody who writes while we remove may win that often. */
#define MAX_TRIES 10000

static unsigned hoisted;

static int empty_dir(int dir, int top, unsigned depth);

static int remove_below(int parent, const char *name, int top, unsigned depth) {
  for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    const int why = errno;
    if (why != EISDIR && why != EPERM) return -1;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
    if (errno == ENOTDIR && why == EISDIR) continue;
    if (errno == ENOTDIR) {
      errno = why;
      return -1;
    }
    if (errno != ENOTEMPTY && errno != EEXIST) return -1;
    if (depth >= MAX_DEPTH) {
      char hoist[48];
      snprintf(hoist, sizeof hoist, ".sandbar-removed-%d-%u", getpid(), hoisted++);
      if (renameat(parent, name, top, hoist) == 0) return 0;
    }
    int fd = open_on_mount(parent, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) continue;
    /* Something is mounted there, which is not this tree's, or is in use as long as it is. */
    if (fd < 0 && errno == EXDEV) errno = EBUSY;
    if (fd < 0) return -1;
    int rc = empty_dir(fd, top < 0 ? fd : top, depth + 1);
    int saved = errno;
    close(fd);
    errno = saved;
    if (rc < 0) return -1;
  }
  errno = EBUSY;
  return -1;
}

static int empty_dir(int dir, int top, unsigned depth) {
  int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (stream == NULL) {
    if (fd >= 0) close(fd);
    return errno == ENOENT ? 0 : -1;
  }
  int rc = 0;
  for (struct dirent *found; rc == 0 && (found = readdir(stream)) != NULL;) {
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    rc = remove_below(dir, found->d_name, top, depth);
  }
  int saved = errno;
  closedir(stream);
  errno = saved;
  return rc;
}

int remove_at(int parent, const char *name) { return remove_below(parent, name, -1, 0); }
