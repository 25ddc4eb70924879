#ifndef SANDBAR_TREE_WATCH_H
#define SANDBAR_TREE_WATCH_H

#include <stdbool.h>

/* Tells of changes below a directory until the input ends or the directory is gone. */
void watch_path(const char *path, bool recursive);

#endif
