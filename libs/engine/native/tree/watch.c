#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "found.h"
#include "sandbox.h"
#include "tree.h"

/* Directories. What lies in others is told as an overflow. */
#define MAX_WATCHES 8192
/* How long the second half of a move may be away; it comes in the same breath or not at all. */
#define PAIR_MS 20

enum event { EVENT_READY, EVENT_CREATED, EVENT_MODIFIED, EVENT_DELETED, EVENT_MOVED, EVENT_OVERFLOW };

struct watch {
  int wd;
  char *path;
};

static int queue = -1, top = -1;
static bool deep;
static struct watch watches[MAX_WATCHES];
static size_t watch_count;
static struct buffer frame;
/* A name that has gone and not come back yet. */
static struct {
  uint32_t cookie;
  bool directory;
  char path[PATH_MAX + 1];
} gone;

static void tell(enum event kind, bool directory, const char *path, const char *to) {
  begin_frame(&frame, FRAME_EVENT);
  append_u8(&frame, (uint8_t)kind);
  append_u8(&frame, directory);
  append_string(&frame, path);
  append_string(&frame, to);
  send_frame(&frame);
}

static struct watch *watch_of(int wd) {
  for (size_t i = 0; i < watch_count; i++)
    if (watches[i].wd == wd) return &watches[i];
  return NULL;
}

static const char *join(const char *folder, const char *name) {
  static char path[PATH_MAX + 1];
  const size_t length = strlen(folder), more = strlen(name);
  if (length + 1 + more > PATH_MAX) return NULL;
  memcpy(path, folder, length);
  if (length > 0) path[length] = '/';
  memcpy(path + length + (length > 0), name, more + 1);
  return path;
}

static void forget(struct watch *watch) {
  free(watch->path);
  *watch = watches[--watch_count];
}

/* A directory is named to inotify by standing in it: no path is resolved. */
static bool add(int dir, const char *path) {
  if (fchdir(dir) < 0) fail(errno, "chdir", path);
  const uint32_t mask = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;
  const int wd = watch_count < MAX_WATCHES ? inotify_add_watch(queue, ".", mask) : -1;
  if (wd < 0) {
    tell(EVENT_OVERFLOW, true, path, "");
    return false;
  }
  struct watch *known = watch_of(wd);
  char *copy = strdup(path);
  if (copy == NULL) fail(ENOMEM, "watch", path);
  if (known != NULL) free(known->path);
  else known = &watches[watch_count++];
  *known = (struct watch){.wd = wd, .path = copy};
  return true;
}

/* `telling`: what is found there came into being before anybody could watch. */
static void add_below(int dir, const char *path, bool telling, unsigned depth) {
  if (is_made_up(dir) || is_device_folder(dir)) return;
  if (!add(dir, path) || !deep) return;
  struct names names = read_names(dir);
  for (size_t i = 0; i < names.count; i++) {
    struct stat st;
    if (fstatat(dir, names.list[i], &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
    const char *joined = join(path, names.list[i]);
    char *below = joined == NULL ? NULL : strdup(joined);
    if (below == NULL) continue;
    if (telling) tell(EVENT_CREATED, S_ISDIR(st.st_mode), below, "");
    int fd = S_ISDIR(st.st_mode) && depth < PATH_MAX / 2 ? open_below(dir, names.list[i], O_RDONLY | O_DIRECTORY) : -1;
    if (fd >= 0) {
      add_below(fd, below, telling, depth + 1);
      close(fd);
    }
    free(below);
  }
  free_names(&names);
}

static void add_new(const char *path, bool telling) {
  if (!deep) return;
  int fd = open_below(top, path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return;
  add_below(fd, path, telling, 0);
  close(fd);
}

static bool is_below(const char *path, const char *folder) {
  const size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* What left the tree is watched no more. */
static void drop_below(const char *path) {
  for (size_t i = 0; i < watch_count;) {
    if (!is_below(watches[i].path, path)) {
      i++;
      continue;
    }
    inotify_rm_watch(queue, watches[i].wd);
    forget(&watches[i]);
  }
}

static void rename_below(const char *from, const char *to) {
  for (size_t i = 0; i < watch_count; i++) {
    if (!is_below(watches[i].path, from)) continue;
    const char *rest = watches[i].path + strlen(from);
    char *path = malloc(strlen(to) + strlen(rest) + 1);
    if (path == NULL) fail(ENOMEM, "watch", to);
    strcpy(stpcpy(path, to), rest);
    free(watches[i].path);
    watches[i].path = path;
  }
}

static void settle(void) {
  if (gone.cookie == 0) return;
  gone.cookie = 0;
  tell(EVENT_DELETED, gone.directory, gone.path, "");
  if (gone.directory) drop_below(gone.path);
}

static void arrived(uint32_t cookie, bool directory, const char *path) {
  if (gone.cookie == cookie && cookie != 0) {
    gone.cookie = 0;
    tell(EVENT_MOVED, directory, gone.path, path);
    if (directory) rename_below(gone.path, path);
    return;
  }
  settle();
  tell(EVENT_CREATED, directory, path, "");
  if (directory) add_new(path, true);
}

/* False when the directory itself is gone. */
static bool take(const struct inotify_event *event) {
  if ((event->mask & IN_Q_OVERFLOW) != 0) {
    settle();
    tell(EVENT_OVERFLOW, true, "", "");
    return true;
  }
  struct watch *watch = watch_of(event->wd);
  if (watch == NULL) return true;
  if ((event->mask & (IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
    const bool last = watch->path[0] == '\0';
    forget(watch);
    return !last;
  }
  if (event->len == 0) return true;
  const char *joined = join(watch->path, event->name);
  if (joined == NULL) return true;
  char path[PATH_MAX + 1];
  strcpy(path, joined);
  const bool directory = (event->mask & IN_ISDIR) != 0;
  if ((event->mask & IN_MOVED_TO) != 0) {
    arrived(event->cookie, directory, path);
    return true;
  }
  settle();
  if ((event->mask & IN_MOVED_FROM) != 0) {
    gone.cookie = event->cookie;
    gone.directory = directory;
    strcpy(gone.path, path);
  } else if ((event->mask & IN_CREATE) != 0) {
    tell(EVENT_CREATED, directory, path, "");
    if (directory) add_new(path, true);
  } else if ((event->mask & IN_DELETE) != 0) {
    tell(EVENT_DELETED, directory, path, "");
  } else if ((event->mask & (IN_MODIFY | IN_ATTRIB)) != 0) {
    tell(EVENT_MODIFIED, directory, path, "");
  }
  return true;
}

static bool take_all(void) {
  static char events[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
  ssize_t size = read(queue, events, sizeof events);
  if (size < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (size < 0) fail(errno, "watch", "");
  for (char *at = events; at < events + size;) {
    const struct inotify_event *event = (const struct inotify_event *)(void *)at;
    if (!take(event)) return false;
    at += sizeof *event + event->len;
  }
  return true;
}

void watch_path(const char *path, bool recursive) {
  deep = recursive;
  int found = open_named(path, O_DIRECTORY);
  top = reopen(found, O_RDONLY | O_DIRECTORY);
  queue = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (top < 0 || queue < 0) fail(errno, "watch", path);
  add_below(top, "", false, 0);
  if (watch_count == 0) fail(ENOSPC, "watch", path);
  tell(EVENT_READY, true, "", "");
  flush_output();
  struct pollfd fds[2] = {{.fd = queue, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  for (bool there = true; there;) {
    const int ready = poll(fds, 2, gone.cookie == 0 ? -1 : PAIR_MS);
    if (ready < 0 && errno != EINTR) fail(errno, "watch", path);
    if (ready == 0) settle();
    /* The worker says nothing more: its end of the pipe has closed. */
    if (ready > 0 && fds[1].revents != 0) break;
    if (ready > 0 && fds[0].revents != 0) there = take_all();
    flush_output();
  }
  settle();
}
