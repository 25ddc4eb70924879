#ifndef SANDBAR_SPAWNER_PROGRAMS_H
#define SANDBAR_SPAWNER_PROGRAMS_H

/*
 * A mount name space of the spawner's own, the pattern of every launch's: mounts are slaves of the host's, and on a hybrid cgroup layout
 * the cgroup2 mount, which crun refuses to see, is not there.
 */
void enter_own_mounts(void);

/*
 * A sealed copy in memory of the program at `path`, close-on-exec, made anew when the file has changed. -1 when there can be none.
 * OCI runtimes refuse to run from a file that a container could reach and write to (CVE-2019-5736): they copy or bind themselves and
 * execute that at each start, unless they find that they are such a copy.
 */
int sealed_copy(const char *path);

/*
 * Covers the folder of `path`, in the spawner's mounts alone, with a tmpfs that holds a read-only copy of the file: what is bound from there
 * into a sandbox tells it nothing of the host's disk. The first path given counts; best effort.
 */
void cover_program(const char *path);

#endif
