#include "events.h"

#include <stdlib.h>

#include "frames.h"
#include "protocol.h"

static struct event *head;
static struct event *tail;
static struct event *cursor;
static uint64_t next_seq = 1;
static size_t charged;

/* What malloc adds, generously. */
#define OVERHEAD_BYTES ((uint32_t)sizeof(struct event) + 32u)

struct event *events_new_output(struct process *process) {
  struct event *event = malloc(sizeof *event + HEADER_BYTES + 8 + MAX_CHUNK_BYTES);
  if (event != NULL) *event = (struct event){.process = process};
  return event;
}

uint8_t *output_data(struct event *event) {
  return (uint8_t *)(event + 1) + HEADER_BYTES + 8;
}

void events_append(struct event *event) {
  event->next = NULL;
  event->seq = next_seq++;
  frame_set_seq(event->frame, event->seq);
  charged += event->charge;
  if (tail == NULL) head = event;
  else tail->next = event;
  tail = event;
  if (cursor == NULL) cursor = event;
}

void events_append_output(struct event *event, uint32_t process_id, uint8_t stream, uint64_t time_us, uint32_t length) {
  uint32_t frame_bytes = HEADER_BYTES + 8 + length;
  struct event *fitted = realloc(event, sizeof *event + frame_bytes);
  if (fitted != NULL) event = fitted;
  event->frame = (uint8_t *)(event + 1);
  event->frame_bytes = frame_bytes;
  event->charge = frame_bytes + OVERHEAD_BYTES;
  frame_header(event->frame, FRAME_OUTPUT, stream, process_id, 0, 8 + length);
  put_u64(event->frame + HEADER_BYTES, time_us);
  process_event_held(event);
  events_append(event);
}

struct event *events_unsent(void) {
  return cursor;
}

void events_sent(void) {
  cursor = cursor->next;
}

void events_rewind(void) {
  cursor = head;
}

bool events_acknowledge(uint64_t seq) {
  if (seq >= next_seq) return false;
  while (head != NULL && head->seq <= seq) {
    struct event *event = head;
    head = event->next;
    if (head == NULL) tail = NULL;
    if (cursor == event) cursor = head;
    charged -= event->charge;
    bool owned = event->charge > 0;
    process_event_released(event);
    if (owned) free(event);
  }
  return true;
}

uint64_t events_oldest(void) {
  return head == NULL ? next_seq : head->seq;
}

uint64_t events_next(void) {
  return next_seq;
}

bool events_room(size_t held) {
  size_t left = charged >= EVENT_BUFFER_BYTES ? 0 : EVENT_BUFFER_BYTES - charged;
  return left >= MAX_CHUNK_BYTES + HEADER_BYTES + 8 + OVERHEAD_BYTES && held <= left * 8;
}
