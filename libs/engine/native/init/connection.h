/* The host's connection: one at a time, the newest wins. */
#ifndef SANDBAR_CONNECTION_H
#define SANDBAR_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "processes.h"

/* Answers a request, unless its connection is over. */
void reply_ok(struct asker asker);
/* As reply_ok, and tells a number in the place of the event's. */
void reply_taken(struct asker asker, uint64_t taken);
void reply_error(struct asker asker, enum reply_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

bool listener_open(int fd);
void connection_adopt(int fd);
/* Sends what has gathered. To be called once per turn of the loop. */
void connection_flush(void);
/* Gives up a slow leaver. Returns ms until that is due, or -1. */
int connection_tick(void);

#endif
