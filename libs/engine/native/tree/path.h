#ifndef SANDBAR_TREE_PATH_H
#define SANDBAR_TREE_PATH_H

#include <stddef.h>

/* Where a walk is, relative to its root. */
extern char tree_path[];
/* Goes one name down; the answer is for `pop_name`. */
size_t push_name(const char *name);
void pop_name(size_t before);

#endif
