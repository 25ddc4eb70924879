/* Events are numbered without gaps from 1 and stay here until the host has acknowledged them. */
#ifndef SANDBAR_EVENTS_H
#define SANDBAR_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of output that the host has not acknowledged, bookkeeping included. */
#ifndef EVENT_BUFFER_BYTES
#define EVENT_BUFFER_BYTES (4u << 20)
#endif

struct process;

struct event {
  struct event *next;
  struct process *process;
  uint64_t seq;
  /* Bytes counted against the buffer; 0 for started and exit, which live in their process and always find room. */
  uint32_t charge;
  uint32_t frame_bytes;
  uint8_t *frame;
};

/* Numbers the event, whose frame is complete but for its number, and takes it over. */
void events_append(struct event *event);

/* A new output event with room for MAX_CHUNK_BYTES at output_data(); NULL without memory. Memory comes first: bytes once read cannot go back. */
struct event *events_new_output(struct process *process);
uint8_t *output_data(struct event *event);
/* Gives back the room that is not needed, completes the frame and appends it. */
void events_append_output(struct event *event, uint32_t process_id, uint8_t stream, uint64_t time_us, uint32_t length);

/* The next event that this connection has not seen, or NULL. */
struct event *events_unsent(void);
void events_sent(void);

/* For a new connection: everything that is still here is unsent. */
void events_rewind(void);

/* Forgets events up to `seq`. False when there is no such event yet. */
bool events_acknowledge(uint64_t seq);

uint64_t events_oldest(void);
uint64_t events_next(void);

/*
 * Whether a process that holds `held` bytes may add a full chunk. It may hold eight times what would be left for the others, so one
 * alone gets most of the buffer and a newcomer still finds room.
 */
bool events_room(size_t held);

/* Provided by processes.c: the event is kept for the host; and: it is about to be forgotten. */
void process_event_held(struct event *event);
void process_event_released(struct event *event);

#endif
