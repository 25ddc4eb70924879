#define _GNU_SOURCE
#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "programs.h"

#define CAPTURE_BYTES (64 * 1024)
/* A descendant may keep a pipe full for ever: after the child's end, what a pipe can hold is read, and no more. */
#define DRAIN_READS 32

enum status { STATUS_ENDED = 0, STATUS_NOT_STARTED = 1 };

static struct job *jobs;

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Taken out of the set by hand: a child between fork and exec has the descriptor too, and would keep it there beyond the job's life. */
static void close_source(struct source *source) {
  if (source->fd < 0) return;
  epoll_ctl(source->epoll, EPOLL_CTL_DEL, source->fd, NULL);
  close(source->fd);
  source->fd = -1;
}

/* Every answer is framed here: `body` follows the id. */
static void answer(struct buffer *answers, uint32_t id, const struct buffer *body) {
  append_u32(answers, (uint32_t)(sizeof id + body->size));
  append_u32(answers, id);
  append(answers, body->data, body->size);
}

static void answer_not_started(struct buffer *answers, uint32_t id, bool timed_out, int error, const char *step) {
  struct buffer body = {0};
  append_u8(&body, STATUS_NOT_STARTED);
  append_u8(&body, timed_out);
  append_u32(&body, (uint32_t)error);
  append_blob(&body, step, strlen(step));
  answer(answers, id, &body);
  free(body.data);
}

static void watch(int epoll, struct source *source, struct job *job, int fd, uint32_t events) {
  source->fd = fd;
  source->epoll = epoll;
  source->job = job;
  struct epoll_event event = {.events = events, .data.ptr = source};
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) abort();
}

/* Runs in the child. `pipes`: stdin read, stdout write, stderr write, report write. */
static _Noreturn void become(pid_t parent, uint8_t op, struct reader *body, int program, const int pipes[4]) {
  report_to(pipes[3]);
  setsid();
  /* A runtime that was started must not outlive the spawner unseen; what the runtime forks loses this setting. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (dup2(pipes[0], 0) < 0 || dup2(pipes[1], 1) < 0 || dup2(pipes[2], 2) < 0) fail("dup2");
  if (op == OP_LAUNCH) run_launch(body, program);
  run_exec(body);
}

void job_start(int epoll, uint32_t id, uint8_t op, const uint8_t *frame, size_t size, struct buffer *answers) {
  struct reader body = {.at = frame, .end = frame + size};
  uint32_t timeout = read_u32(&body);
  size_t input_size = 0;
  const uint8_t *input = op == OP_EXEC ? read_blob(&body, &input_size) : NULL;
  if (body.bad || (op != OP_EXEC && op != OP_LAUNCH)) {
    answer_not_started(answers, id, false, EBADMSG, "read the request");
    return;
  }
  struct launch_head launch;
  int program = -1;
  if (op == OP_LAUNCH && peek_launch(body, &launch)) {
    cover_program(launch.agent);
    program = sealed_copy(launch.runtime);
  }
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, report[2] = {-1, -1};
  pid_t pid = -1;
  const pid_t self = getpid();
  bool ready = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC) == 0;
  /*
   * Without input: a pipe whose other end is closed. Never /dev/null: crun gives its stdio to the container's root (fchown), and the
   * guest would own the host's device.
   */
  if (ready) ready = pipe2(in, O_CLOEXEC) == 0;
  if (ready) pid = fork();
  const int saved = errno;
  if (pid == 0) become(self, op, &body, program, (const int[]){in[0], out[1], err[1], report[1]});
  const int theirs[] = {in[0], out[1], err[1], report[1]};
  for (size_t i = 0; i < 4; i++)
    if (theirs[i] >= 0) close(theirs[i]);
  if (pid < 0) {
    const int ours[] = {in[1], out[0], err[0], report[0]};
    for (size_t i = 0; i < 4; i++)
      if (ours[i] >= 0) close(ours[i]);
    answer_not_started(answers, id, false, saved, "start a process");
    return;
  }
  struct job *job = calloc(1, sizeof *job);
  if (job == NULL) abort();
  *job = (struct job){.next = jobs, .id = id, .pid = pid, .deadline_ms = now_ms() + timeout, .report = report[0], .in.fd = -1};
  watch(epoll, &job->out, job, out[0], EPOLLIN);
  watch(epoll, &job->err, job, err[0], EPOLLIN);
  if (input_size > 0) {
    job->stdin_data = malloc(input_size);
    if (job->stdin_data == NULL) abort();
    memcpy(job->stdin_data, input, input_size);
    job->stdin_size = input_size;
    watch(epoll, &job->in, job, in[1], EPOLLOUT);
  } else {
    close(in[1]);
  }
  jobs = job;
}

/* Keeps the first CAPTURE_BYTES, reads on so that the writer never blocks. Returns false at the end or when nothing is there. */
static bool capture(struct source *source, struct buffer *into) {
  uint8_t chunk[CAPTURE_BYTES];
  ssize_t got = read(source->fd, chunk, sizeof chunk);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    close_source(source);
    return false;
  }
  size_t room = CAPTURE_BYTES - into->size;
  append(into, chunk, (size_t)got < room ? (size_t)got : room);
  return true;
}

static void feed(struct job *job) {
  ssize_t sent = write(job->in.fd, job->stdin_data + job->stdin_sent, job->stdin_size - job->stdin_sent);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (sent > 0) job->stdin_sent += (size_t)sent;
  /* EPIPE: the program reads no more. */
  if (sent < 0 || job->stdin_sent == job->stdin_size) close_source(&job->in);
}

void job_io(struct source *source) {
  struct job *job = source->job;
  if (source->fd < 0) return;
  if (source == &job->in) feed(job);
  if (source == &job->out) capture(source, &job->out_data);
  if (source == &job->err) capture(source, &job->err_data);
}

static void drain(struct source *source, struct buffer *into) {
  for (int i = 0; i < DRAIN_READS && source->fd >= 0 && capture(source, into); i++) {
  }
  close_source(source);
}

static void finish(struct job *job, int wait_status, struct buffer *answers) {
  drain(&job->out, &job->out_data);
  drain(&job->err, &job->err_data);
  close_source(&job->in);
  struct {
    int32_t error;
    char step[60];
  } report;
  ssize_t got = read(job->report, &report, sizeof report);
  close(job->report);
  job->ended = true;
  if (got == (ssize_t)sizeof report) {
    report.step[sizeof report.step - 1] = 0;
    answer_not_started(answers, job->id, job->timed_out, report.error, report.step);
    return;
  }
  struct buffer body = {0};
  append_u8(&body, STATUS_ENDED);
  append_u8(&body, job->timed_out);
  append_u32(&body, (uint32_t)(WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1));
  append_u32(&body, (uint32_t)(WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0));
  append_blob(&body, job->out_data.data, job->out_data.size);
  append_blob(&body, job->err_data.data, job->err_data.size);
  answer(answers, job->id, &body);
  free(body.data);
}

void jobs_reap(struct buffer *answers) {
  int status = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (struct job *job = jobs; job != NULL; job = job->next)
      if (job->pid == pid && !job->ended) finish(job, status, answers);
  }
}

int jobs_expire(void) {
  int64_t now = now_ms(), next = -1;
  for (struct job *job = jobs; job != NULL; job = job->next) {
    if (job->ended || job->timed_out) continue;
    if (job->deadline_ms <= now) {
      job->timed_out = true;
      /* Its session's group, and itself in case it has not come as far as setsid. */
      kill(-job->pid, SIGKILL);
      kill(job->pid, SIGKILL);
    } else if (next < 0 || job->deadline_ms - now < next) {
      next = job->deadline_ms - now;
    }
  }
  return (int)next;
}

void jobs_bury(void) {
  struct job **link = &jobs;
  while (*link != NULL) {
    struct job *job = *link;
    if (!job->ended) {
      link = &job->next;
      continue;
    }
    *link = job->next;
    free(job->stdin_data);
    free(job->out_data.data);
    free(job->err_data.data);
    free(job);
  }
}
