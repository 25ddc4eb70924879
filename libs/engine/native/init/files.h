/* The guest's files, for the host. No symbolic link is ever followed: a guest could have laid it anywhere. */
#ifndef SANDBAR_FILES_H
#define SANDBAR_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "processes.h"

#define MAX_DOWNLOADS 32u

/* One upload at a time; the answer comes with its last piece. False: another one is under way. */
bool file_write(struct asker asker, const struct write_file_request *request, bool more);
/* False: no upload of this request is under way. */
bool file_write_more(struct asker asker, const uint8_t *data, size_t length, bool more);

void file_read(struct asker asker, const struct read_file_request *request);
/* Whether a read would give just that; a file that cannot be read gives nothing. */
bool file_holds(const struct expected_file *file);
bool file_reads_pending(void);
/* Puts the next piece as a frame into `out`, which has room for a chunk and its header. Returns the frame's bytes, or 0. */
size_t file_read_next(uint8_t *out);

/* The connection is over: what it had begun is given up. */
void files_reset(void);

#endif
