#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

bool hides(int dir, const char *path) {
  char *prefix = strdup(path);
  if (prefix == NULL) fail(ENOMEM, "look a path up", path);
  bool hidden = false;
  for (char *slash; !hidden && (slash = strrchr(prefix, '/')) != NULL;) {
    *slash = '\0';
    int fd = open_below(dir, prefix, O_RDONLY | O_DIRECTORY);
    /* A file, a link or a whiteout where others have a directory. */
    if (fd < 0) hidden = errno != ENOENT;
    else {
      hidden = is_opaque(fd);
      close(fd);
    }
  }
  free(prefix);
  return hidden;
}

int lower_open(const char *path, struct stat *st) {
  for (size_t i = 0; i < lower_count; i++) {
    int fd = open_below(lower_fds[i], path, O_PATH);
    if (fd >= 0) {
      if (fstat(fd, st) < 0) fail(errno, "look a path up", path);
      if (!is_whiteout(st)) return fd;
      close(fd);
      break;
    }
    if (errno != ENOENT || hides(lower_fds[i], path)) break;
  }
  errno = ENOENT;
  return -1;
}

struct seen {
  char **names;
  size_t count, room;
};

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool is_seen(const struct seen *seen, const char *name, size_t sorted) {
  return sorted > 0 && bsearch(&name, seen->names, sorted, sizeof *seen->names, by_name) != NULL;
}

void each_lower_name(const char *path, void (*visit)(const char *name, void *context), void *context) {
  struct seen seen = {0};
  for (size_t i = 0; i < lower_count; i++) {
    int fd = open_below(lower_fds[i], path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
      if (errno != ENOENT || hides(lower_fds[i], path)) break;
      continue;
    }
    struct names names = read_names(fd);
    size_t sorted = seen.count;
    for (size_t n = 0; n < names.count; n++) {
      struct stat st;
      if (is_seen(&seen, names.list[n], sorted)) continue;
      if (fstatat(fd, names.list[n], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
      if (seen.count == seen.room) {
        seen.room = seen.room == 0 ? 256 : seen.room * 2;
        seen.names = realloc(seen.names, seen.room * sizeof *seen.names);
        if (seen.names == NULL) fail(ENOMEM, "list a directory", path);
      }
      seen.names[seen.count] = strdup(names.list[n]);
      if (seen.names[seen.count] == NULL) fail(ENOMEM, "list a directory", path);
      seen.count++;
      if (!is_whiteout(&st)) visit(names.list[n], context);
    }
    if (seen.count > 0) qsort(seen.names, seen.count, sizeof *seen.names, by_name);
    free_names(&names);
    /* The root's mark means nothing to overlayfs: roots are always merged. */
    bool last = (path[0] != '\0' && is_opaque(fd)) || hides(lower_fds[i], path);
    close(fd);
    if (last) break;
  }
  for (size_t n = 0; n < seen.count; n++) free(seen.names[n]);
  free(seen.names);
}
