#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct names read_names(int dir) {
  struct names names = {0};
  size_t room = 0;
  int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | quiet());
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  /* It was removed: it holds nothing. */
  if (stream == NULL && errno == ENOENT) return names;
  if (stream == NULL) fail(errno, "list a directory", "");
  for (;;) {
    errno = 0;
    struct dirent *found = readdir(stream);
    if (found == NULL) break;
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    if (names.count == room) {
      room = room == 0 ? 64 : room * 2;
      names.list = realloc(names.list, room * sizeof *names.list);
      if (names.list == NULL) fail(ENOMEM, "list a directory", "");
    }
    names.list[names.count] = strdup(found->d_name);
    if (names.list[names.count] == NULL) fail(ENOMEM, "list a directory", "");
    names.count++;
  }
  if (errno != 0) fail(errno, "list a directory", "");
  closedir(stream);
  if (names.count > 0) qsort(names.list, names.count, sizeof *names.list, by_name);
  return names;
}

void free_names(struct names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->list[i]);
  free(names->list);
}

struct link_seen {
  dev_t dev;
  ino_t ino;
  char *path;
};

static struct link_seen *links;
static size_t links_room, links_count;

static size_t place_of(const struct link_seen *table, size_t room, dev_t dev, ino_t ino) {
  size_t at = (size_t)((ino * 0x9e3779b97f4a7c15u) ^ dev) & (room - 1);
  while (table[at].path != NULL && (table[at].ino != ino || table[at].dev != dev)) at = (at + 1) & (room - 1);
  return at;
}

static void grow_links(void) {
  size_t room = links_room == 0 ? 1024 : links_room * 2;
  struct link_seen *table = calloc(room, sizeof *table);
  if (table == NULL) fail(ENOMEM, "remember hard links", "");
  for (size_t i = 0; i < links_room; i++)
    if (links[i].path != NULL) table[place_of(table, room, links[i].dev, links[i].ino)] = links[i];
  free(links);
  links = table;
  links_room = room;
}

bool first_link(const struct stat *st, const char *path, const char **first) {
  if (links_count * 2 >= links_room) grow_links();
  struct link_seen *seen = &links[place_of(links, links_room, st->st_dev, st->st_ino)];
  if (seen->path != NULL) {
    *first = seen->path;
    return false;
  }
  *seen = (struct link_seen){.dev = st->st_dev, .ino = st->st_ino, .path = strdup(path)};
  if (seen->path == NULL) fail(ENOMEM, "remember hard links", path);
  links_count++;
  return true;
}
