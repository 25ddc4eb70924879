#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tree.h"

/* One descriptor a level. What a guest hides deeper is not counted, but its disk's size bounds it. */
#define MAX_DEPTH 800

static uint64_t bytes, inodes;

static void count(const struct stat *st) {
  const char *first;
  if (!S_ISDIR(st->st_mode) && st->st_nlink > 1 && !first_link(st, "", &first)) return;
  bytes += (uint64_t)st->st_blocks * 512;
  inodes++;
}

static void walk(int dir, unsigned depth) {
  struct names names = read_names(dir);
  for (size_t i = 0; i < names.count; i++) {
    struct stat st;
    if (fstatat(dir, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (!S_ISDIR(st.st_mode)) {
      count(&st);
      continue;
    }
    int fd = depth < MAX_DEPTH ? open_below(dir, names.list[i], O_RDONLY | O_DIRECTORY | O_NOATIME) : -1;
    if (fd < 0) continue;
    count(&st);
    walk(fd, depth + 1);
    close(fd);
  }
  free_names(&names);
}

void measure(uint64_t *all_bytes, uint64_t *all_inodes) {
  int fd = open_below(root_fd, "", O_RDONLY | O_DIRECTORY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) fail(errno, "open the root", "");
  count(&st);
  walk(fd, 0);
  close(fd);
  *all_bytes = bytes;
  *all_inodes = inodes;
}
