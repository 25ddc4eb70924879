#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "tree.h"

enum change { MODIFIED, ADDED, DELETED };

static struct buffer frame;

static void tell(enum change kind) {
  begin_frame(&frame, FRAME_CHANGE);
  append_u8(&frame, (uint8_t)kind);
  append_string(&frame, tree_path);
  send_frame(&frame);
}

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && (S_ISDIR(a->st_mode) || a->st_size == b->st_size) && a->st_rdev == b->st_rdev;
}

static bool lower_stat(struct stat *st) {
  int fd = lower_open(tree_path, st);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

struct hidden {
  const struct names *names;
  bool any;
};

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void tell_hidden(const char *name, void *context) {
  struct hidden *hidden = context;
  if (hidden->names->count > 0 && bsearch(&name, hidden->names->list, hidden->names->count, sizeof *hidden->names->list, by_name) != NULL) return;
  size_t before = push_name(name);
  tell(DELETED);
  pop_name(before);
  hidden->any = true;
}

static bool compare(int dir, bool below);

/* Whether there is a change at `tree_path` or below. */
static bool compare_one(int dir, const char *name, bool below) {
  struct stat st, lower;
  if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return false;
  const bool known = below && lower_stat(&lower);
  if (is_whiteout(&st)) {
    if (known) tell(DELETED);
    return known;
  }
  if (!S_ISDIR(st.st_mode)) {
    if (known && is_same(&st, &lower)) return false;
    tell(known ? MODIFIED : ADDED);
    return true;
  }
  int fd = open_below(dir, name, O_RDONLY | O_DIRECTORY);
  if (fd < 0 && (errno == ENOENT || errno == EXDEV)) return false;
  if (fd < 0) fail(errno, "open", tree_path);
  bool changed = compare(fd, known && S_ISDIR(lower.st_mode));
  close(fd);
  if (known && !changed && is_same(&st, &lower)) return false;
  tell(known ? MODIFIED : ADDED);
  return true;
}

/* `below`: the layers below have this directory too. */
static bool compare(int dir, bool below) {
  struct names names = read_names(dir);
  bool changed = false;
  for (size_t i = 0; i < names.count; i++) {
    size_t before = push_name(names.list[i]);
    if (compare_one(dir, names.list[i], below)) changed = true;
    pop_name(before);
  }
  if (below && tree_path[0] != '\0' && is_opaque(dir)) {
    struct hidden hidden = {.names = &names};
    each_lower_name(tree_path, tell_hidden, &hidden);
    if (hidden.any) changed = true;
  }
  free_names(&names);
  return changed;
}

void list_changes(void) {
  int fd = open_below(root_fd, "", O_RDONLY | O_DIRECTORY);
  if (fd < 0) fail(errno, "open the root", "");
  compare(fd, lower_count > 0);
  close(fd);
}
