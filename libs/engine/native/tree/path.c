#include "path.h"

#include <errno.h>
#include <string.h>

#include "tree.h"

/* A tar holds no longer ones (the codec's limit is 4096), and 4096 levels are as many descriptors as a walk may hold. */
#define PATH_BYTES 8192

char tree_path[PATH_BYTES];
static size_t length;

size_t push_name(const char *name) {
  const size_t before = length, more = strlen(name);
  if (before + 1 + more >= PATH_BYTES) fail(ENAMETOOLONG, "walk", tree_path);
  if (before > 0) tree_path[length++] = '/';
  memcpy(tree_path + length, name, more + 1);
  length += more;
  return before;
}

void pop_name(size_t before) {
  length = before;
  tree_path[length] = '\0';
}
