#include "tombstones.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "connection.h"

#define TOMBSTONES 4096u

struct tombstone {
  uint32_t id;
  int16_t stage;
  int16_t error;
};

static struct tombstone tombstones[TOMBSTONES];
static uint32_t next;

void tombstone_put(uint32_t id, int stage, int error) {
  tombstones[next++ % TOMBSTONES] = (struct tombstone){.id = id, .stage = (int16_t)stage, .error = (int16_t)error};
}

bool tombstone_find(uint32_t id, int *stage, int *error) {
  uint32_t filled = next < TOMBSTONES ? next : TOMBSTONES;
  for (uint32_t i = 0; i < filled; i++) {
    if (tombstones[i].id != id) continue;
    if (stage != NULL) *stage = tombstones[i].stage;
    if (error != NULL) *error = tombstones[i].error;
    return true;
  }
  return false;
}

static enum reply_code code_of(int stage, int error) {
  switch (error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
      return REPLY_RESOURCE_EXHAUSTED;
    case ENOENT:
    case ENOTDIR:
      return stage >= STAGE_CWD ? REPLY_NOT_FOUND : REPLY_INTERNAL;
    case EACCES:
    case EPERM:
      return stage >= STAGE_CWD ? REPLY_PERMISSION_DENIED : REPLY_INTERNAL;
    case E2BIG:
    case EINVAL:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOEXEC:
    case EISDIR:
      return stage >= STAGE_IDENTITY ? REPLY_INVALID_ARGUMENT : REPLY_INTERNAL;
    case ETXTBSY:
      return REPLY_FAILED_PRECONDITION;
    default:
      return REPLY_INTERNAL;
  }
}

static const char *subject_of(int stage) {
  switch (stage) {
    case STAGE_IDENTITY: return "user, groups or limits";
    case STAGE_CWD: return "working directory";
    case STAGE_EXEC: return "program";
    default: return "process";
  }
}

bool start_error_lasts(int error) {
  return code_of(STAGE_EXEC, error) != REPLY_RESOURCE_EXHAUSTED;
}

void start_answer(struct asker asker, int stage, int error) {
  if (error == 0) reply_ok(asker);
  else reply_error(asker, code_of(stage, error), "%s: %s", subject_of(stage), strerror(error));
}
