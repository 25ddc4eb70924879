/* The wire between the host and the guest agent: docs/engine/agent-protocol.md. All numbers are little-endian. */
#ifndef SANDBAR_PROTOCOL_H
#define SANDBAR_PROTOCOL_H

#include <stdint.h>

#define PROTOCOL_VERSION 3u
#define PROTOCOL_MAGIC 0x41584253u /* "SBXA" */
#define HEADER_BYTES 20u
/* Of a whole frame, header included, either way. */
#define MAX_FRAME_BYTES (1u << 20)
#define MAX_PAYLOAD_BYTES (MAX_FRAME_BYTES - HEADER_BYTES)
/* Of the data in one output event or one piece of a file that is read. */
#define MAX_CHUNK_BYTES 65536u
#define MAX_STRINGS 32768u
#define MAX_GIDS 256u
#define MAX_RLIMITS 16u
#define MAX_EXPECTED 4u
#define MAX_PATH_BYTES 4095u
/* Of stdin. The host's language counts no further. */
#define MAX_STDIN_OFFSET ((UINT64_C(1) << 53) - 1)

enum frame_type {
  FRAME_HELLO = 0x01,
  FRAME_ACK = 0x02,
  FRAME_START = 0x10,
  FRAME_STDIN = 0x11,
  FRAME_CLOSE_STDIN = 0x12,
  FRAME_SIGNAL = 0x13,
  FRAME_KILL_ALL = 0x14,
  FRAME_RESIZE = 0x15,
  FRAME_WRITE_FILE = 0x16,
  FRAME_WRITE_DATA = 0x17,
  FRAME_READ_FILE = 0x18,
  FRAME_PING = 0x19,
  FRAME_FLOW = 0x1a,

  FRAME_WELCOME = 0x81,
  FRAME_REPLY = 0x82,
  FRAME_FILE_DATA = 0x83,
  FRAME_BYE = 0x84,
  FRAME_STARTED = 0x90,
  FRAME_OUTPUT = 0x91,
  FRAME_EXIT = 0x92,
};

/* On WRITE_FILE and WRITE_DATA: another WRITE_DATA follows. */
#define FLAG_MORE 0x01u
/* On SIGNAL: not to the process group. */
#define FLAG_ALONE 0x01u
/* On FLOW: its output is not read until it is told otherwise. */
#define FLAG_HOLD 0x01u
/* On OUTPUT. */
#define FLAG_STDOUT 0x01u
#define FLAG_STDERR 0x02u

/* In START. */
#define START_PTY 0x01u
#define START_STDIN 0x02u
/* Root may have what the agent has itself, others take from it by set-id programs. */
#define START_PRIVILEGED 0x04u
/* Killed when the connection that started it is over. */
#define START_TIED 0x08u
/* Only if certain files hold what the request says that they hold. */
#define START_EXPECTS 0x10u

enum reply_code {
  REPLY_OK = 0,
  REPLY_INVALID_ARGUMENT = 1,
  REPLY_PERMISSION_DENIED = 2,
  REPLY_NOT_FOUND = 3,
  REPLY_FAILED_PRECONDITION = 4,
  REPLY_PAYLOAD_TOO_LARGE = 5,
  REPLY_RESOURCE_EXHAUSTED = 6,
  REPLY_INTERNAL = 7,
};

enum bye_reason {
  BYE_TAKEN_OVER = 1,
  BYE_PROTOCOL = 2,
  BYE_VERSION = 3,
};

#endif
