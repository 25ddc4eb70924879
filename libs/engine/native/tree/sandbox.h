#ifndef SANDBAR_TREE_SANDBOX_H
#define SANDBAR_TREE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* The tree is what a running sandbox sees: all its mounts are part of it, but for the kernel's own file systems. */
extern bool in_sandbox;

/* `name` is "<pid> <start time in ticks>" of the sandbox's first process. Its cgroup is joined by writing "0" to each file. */
void enter_sandbox(const char *name, const char *const *join_files, size_t count);
/* Whether what is behind it is made up by the kernel, or by a program of the guest's. */
bool is_made_up(int fd);
/* Whether it is what is mounted at /dev. */
bool is_device_folder(int dir);
/* Ends the program when nothing may be written in this directory. Outside of sandboxes everything may be. */
void require_writable(int dir, const char *path);

#endif
