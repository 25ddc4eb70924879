#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "resolve.h"
#include "sandbox.h"
#include "tree.h"

#define MAX_LINKS 40
/* Of directories, and of their paths together: what a hostile layer may make us remember. */
#define MAX_TIMES 500000
#define MAX_TIMES_BYTES ((size_t)128 * 1024 * 1024)

bool layer_mode;
bool root_opaque;
int base_fd = -1;

static int cached_fd = -1;
static bool cache_valid;
static char cached_raw[PATH_MAX + 1], cached_canonical[PATH_MAX + 1];
static char canonical_path[PATH_MAX + 1];

struct time {
  char *path;
  int64_t seconds;
  uint32_t nanoseconds;
};

static struct time *times;
static size_t time_count, time_room, time_bytes;

void remember_times(const char *path, int64_t seconds, uint32_t nanoseconds) {
  time_bytes += strlen(path) + 1;
  if (time_count == MAX_TIMES || time_bytes > MAX_TIMES_BYTES) fail(E2BIG, "remember the times of so many directories", path);
  if (time_count == time_room) {
    time_room = time_room == 0 ? 256 : time_room * 2;
    times = realloc(times, time_room * sizeof *times);
    if (times == NULL) fail(ENOMEM, "remember times", path);
  }
  times[time_count] = (struct time){.path = strdup(path), .seconds = seconds, .nanoseconds = nanoseconds};
  if (times[time_count].path == NULL) fail(ENOMEM, "remember times", path);
  time_count++;
}

/* In the order of the entries, so that the last word on a directory counts. What is none any more has its own times already. */
void apply_times(void) {
  for (size_t i = 0; i < time_count; i++) {
    const char *path = times[i].path;
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int fd = path[0] == '\0' ? open_below(base_fd, "", flags) : layer_mode ? open_below(root_fd, path, flags) : open_in_root(root_fd, path, flags);
    if (fd < 0) continue;
    struct timespec both[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = times[i].seconds, .tv_nsec = times[i].nanoseconds}};
    if (futimens(fd, both) < 0) fail(errno, "set the time", path);
    close(fd);
  }
}

int stack_open(const char *path, struct stat *st) {
  if (root_opaque || hides(root_fd, path)) {
    errno = ENOENT;
    return -1;
  }
  return lower_open(path, st);
}

void mark_opaque(int parent, const char *name, const char *path) {
  int fd = open_below(parent, name, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0) fail(errno, "mark a directory opaque", path);
  close(fd);
}

/* A directory that the archive does not name, as it is below or, where there is none, as root's. */
static void imply_directory(int parent, const char *name, const char *path, int lower, const struct stat *st) {
  if (mkdirat(parent, name, 0755) < 0) fail(errno, "mkdir", path);
  if (lower < 0) {
    if (layer_mode) remember_times(path, 0, 0);
    return;
  }
  int from = reopen(lower, O_RDONLY | O_DIRECTORY);
  int to = open_below(parent, name, O_RDONLY | O_DIRECTORY);
  if (from < 0 || to < 0) fail(errno, "open", path);
  copy_metadata(from, st, to, path);
  remember_times(path, st->st_mtim.tv_sec, (uint32_t)st->st_mtim.tv_nsec);
  close(from);
  close(to);
}

/* Puts a link's target in front of what is left to do. */
static void follow(int link, char *todo, size_t room, unsigned *links, const char *raw) {
  static char target[PATH_MAX + 1];
  ssize_t size = readlinkat(link, "", target, PATH_MAX);
  if (size < 0) fail(errno, "read a link", raw);
  if (++*links > MAX_LINKS) fail(ELOOP, "follow links", raw);
  size_t left = strlen(todo), length = (size_t)size;
  if (length + 1 + left + 1 > room) fail(ENAMETOOLONG, "follow links", raw);
  memmove(todo + length + 1, todo, left + 1);
  memcpy(todo, target, length);
  todo[length] = '/';
  if (target[0] == '/') canonical_path[0] = '\0';
}

static void leave_last(char *path) {
  char *slash = strrchr(path, '/');
  *(slash == NULL ? path : slash) = '\0';
}

/* One name further from `canonical_path`, which is in this layer. */
static void step(const char *name, char *todo, size_t room, unsigned *links, const char *raw) {
  int parent = open_below(root_fd, canonical_path, O_PATH | O_DIRECTORY);
  if (parent < 0) fail(errno, "open", raw);
  const size_t before = strlen(canonical_path), length = strlen(name);
  if (before + 1 + length > PATH_MAX) fail(ENAMETOOLONG, "resolve", raw);
  if (before > 0) canonical_path[before] = '/';
  memcpy(canonical_path + before + (before > 0), name, length + 1);
  struct stat st;
  bool covered = false;
  int own = open_below(parent, name, O_PATH);
  if (own < 0 && errno != ENOENT) fail(errno, "open", raw);
  if (own >= 0 && fstat(own, &st) < 0) fail(errno, "stat", raw);
  if (own >= 0 && is_whiteout(&st)) {
    if (unlinkat(parent, name, 0) < 0) fail(errno, "unlink", raw);
    close(own);
    own = -1;
    covered = true;
  }
  int lower = own < 0 && !covered ? stack_open(canonical_path, &st) : -1;
  /* A file of the layers below makes way, as it does in Docker; one of this layer does not. */
  if (lower >= 0 && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
    close(lower);
    lower = -1;
  }
  const int found = own >= 0 ? own : lower;
  if (found < 0 || S_ISDIR(st.st_mode)) {
    if (own < 0) imply_directory(parent, name, canonical_path, lower, &st);
    if (covered) mark_opaque(parent, name, raw);
  } else if (S_ISLNK(st.st_mode)) {
    canonical_path[before] = '\0';
    follow(found, todo, room, links, raw);
  } else {
    fail(ENOTDIR, "resolve", raw);
  }
  if (found >= 0) close(found);
  close(parent);
}

/* As the kernel would walk the mounted stack, but every directory on the way is made in this layer. */
static int resolve_in_stack(const char *raw) {
  static char todo[4 * PATH_MAX];
  char name[NAME_MAX + 1];
  unsigned links = 0;
  if (strlen(raw) >= PATH_MAX) fail(ENAMETOOLONG, "resolve", raw);
  strcpy(todo, raw);
  canonical_path[0] = '\0';
  while (todo[0] != '\0') {
    size_t length = strcspn(todo, "/");
    if (length > NAME_MAX) fail(ENAMETOOLONG, "resolve", raw);
    memcpy(name, todo, length);
    name[length] = '\0';
    size_t skip = length + (todo[length] == '/');
    memmove(todo, todo + skip, strlen(todo + skip) + 1);
    if (length == 0 || strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) leave_last(canonical_path);
    else step(name, todo, sizeof todo, &links, raw);
  }
  return open_below(root_fd, canonical_path, O_PATH | O_DIRECTORY);
}

/* Missing directories of a living tree. A link that leads nowhere is in the way: EEXIST. */
static int make_in_root(const char *raw) {
  static char prefix[PATH_MAX + 1];
  if (strlen(raw) > PATH_MAX) fail(ENAMETOOLONG, "resolve", raw);
  strcpy(prefix, raw);
  int parent = open_in_root(root_fd, "", O_PATH | O_DIRECTORY);
  for (char *at = prefix;; at++) {
    at += strcspn(at, "/");
    const bool last = *at == '\0';
    *at = '\0';
    char *slash = strrchr(prefix, '/');
    const char *name = slash == NULL ? prefix : slash + 1;
    int fd = open_in_root(root_fd, prefix, O_PATH | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT) {
      require_writable(parent, raw);
      imply_directory(parent, name, prefix, -1, NULL);
      fd = open_below(parent, name, O_PATH | O_DIRECTORY);
    }
    if (fd < 0) fail(errno, "open", raw);
    close(parent);
    parent = fd;
    if (last) return parent;
    *at = '/';
  }
}

static void resolve(const char *raw) {
  const int flags = O_PATH | O_DIRECTORY;
  strcpy(canonical_path, raw);
  int fd = layer_mode ? open_below(root_fd, raw, flags) : open_in_root(root_fd, raw, flags);
  if (fd < 0 && layer_mode) fd = resolve_in_stack(raw);
  if (fd < 0 && errno == ENOENT && !layer_mode) fd = make_in_root(raw);
  if (fd < 0) fail(errno, "open", raw);
  if (cached_fd >= 0) close(cached_fd);
  cached_fd = fd;
  strcpy(cached_raw, raw);
  strcpy(cached_canonical, canonical_path);
  cache_valid = true;
}

int parent_of(const char *path, const char **name, const char **canonical) {
  static char raw[PATH_MAX + 1];
  const char *slash = strrchr(path, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - path);
  if (length > PATH_MAX) fail(ENAMETOOLONG, "resolve", path);
  memcpy(raw, path, length);
  raw[length] = '\0';
  *name = slash == NULL ? path : slash + 1;
  if (length == 0) {
    *canonical = "";
    return root_fd;
  }
  if (!cache_valid || strcmp(raw, cached_raw) != 0) resolve(raw);
  *canonical = cached_canonical;
  return cached_fd;
}

/* The descriptor stays open until the next path is resolved: somebody is working with it. */
void forget_all(void) { cache_valid = false; }

static bool is_below(const char *path, const char *prefix) {
  size_t length = strlen(prefix);
  return strncmp(path, prefix, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

void forget_below(const char *path, const char *canonical) {
  if (cache_valid && (is_below(cached_raw, path) || is_below(cached_raw, canonical))) cache_valid = false;
}
