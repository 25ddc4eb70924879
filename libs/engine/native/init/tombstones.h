/* What became of the starts whose processes are no longer kept, so that a repeated start is answered alike. */
#ifndef SANDBAR_TOMBSTONES_H
#define SANDBAR_TOMBSTONES_H

#include <stdbool.h>
#include <stdint.h>

#include "processes.h"

/* With error 0 the process had started. The oldest of 4096 is forgotten. */
void tombstone_put(uint32_t id, int stage, int error);
/* The out parameters may be NULL. */
bool tombstone_find(uint32_t id, int *stage, int *error);

/* A want of resources may pass: such a start may be tried again under the same id. */
bool start_error_lasts(int error);
/* Answers a start that ended at `stage` (of child.h) with `error`, or went well with 0. */
void start_answer(struct asker asker, int stage, int error);

#endif
