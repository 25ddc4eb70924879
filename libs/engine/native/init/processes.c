#include "processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "child.h"
#include "connection.h"
#include "files.h"
#include "tombstones.h"

/* Orphans taken per turn of the loop, so that a fork bomb cannot keep the host waiting. */
#define REAP_BATCH 256
#define RESERVED_DESCRIPTORS 96u
/* Of output: the guest writes on while the agent takes what stands there. */
#define OUTPUT_PIPE_BYTES (256 << 10)

static struct process *processes;
static unsigned process_count;
static uint32_t highest;

struct process *process_find(uint32_t id) {
  struct process *process = processes;
  while (process != NULL && process->id != id) process = process->next;
  return process;
}

static void process_free(struct process *process) {
  struct process **link = &processes;
  while (*link != process) link = &(*link)->next;
  *link = process->next;
  process_count--;
  stdin_end(process);
  source_close(&process->report);
  source_close(&process->out);
  source_close(&process->err);
  while (process->waiters != NULL) {
    struct waiter *waiter = process->waiters;
    process->waiters = waiter->next;
    free(waiter);
  }
  free(process);
}

void process_event_held(struct event *event) {
  event->process->held += event->charge;
}

void process_event_released(struct event *event) {
  struct process *process = event->process;
  process->held -= event->charge;
  if (event != &process->ended) return;
  tombstone_put(process->id, 0, 0);
  process_free(process);
}

static void answer_waiters(struct process *process, const struct child_report *report) {
  while (process->waiters != NULL) {
    struct waiter *waiter = process->waiters;
    process->waiters = waiter->next;
    start_answer(waiter->asker, report->stage, report->error);
    free(waiter);
  }
}

static bool add_waiter(struct process *process, struct asker asker) {
  struct waiter *waiter = malloc(sizeof *waiter);
  if (waiter == NULL) return false;
  *waiter = (struct waiter){.next = process->waiters, .asker = asker};
  process->waiters = waiter;
  return true;
}

static void started(struct process *process) {
  process->state = PROCESS_RUNNING;
  frame_header(process->started_frame, FRAME_STARTED, 0, process->id, 0, 12);
  put_u64(process->started_frame + HEADER_BYTES, clock_realtime_us());
  put_u32(process->started_frame + HEADER_BYTES + 8, (uint32_t)process->pid);
  process->started = (struct event){.process = process, .frame = process->started_frame, .frame_bytes = sizeof process->started_frame};
  events_append(&process->started);
  output_watch(process);
}

/* The report pipe closes at execve; before that it tells why there was none. */
static void report_ready(struct source *source, uint32_t events) {
  (void)events;
  struct process *process = source->owner;
  struct child_report report = {0};
  ssize_t length = read(source->fd, &report, sizeof report);
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  source_close(source);
  if (length == 0) {
    started(process);
    answer_waiters(process, &report);
    return;
  }
  answer_waiters(process, &report);
  if (start_error_lasts(report.error)) tombstone_put(process->id, report.stage, report.error);
  /* Its zombie is reaped like an orphan. */
  process_free(process);
}

struct ends {
  int in[2], out[2], err[2], report[2];
};

static void close_all(struct ends *ends) {
  int *all = (int *)ends;
  for (size_t i = 0; i < sizeof *ends / sizeof *all; i++)
    if (all[i] >= 0) close(all[i]);
}

/* [0] is the child's end, [1] the agent's. */
static bool open_pipe(int pair[2], bool child_reads) {
  int raw[2];
  if (pipe2(raw, O_CLOEXEC) < 0) return false;
  pair[0] = raw[child_reads ? 0 : 1];
  pair[1] = raw[child_reads ? 1 : 0];
  /* Best effort: a user has so many pages for pipes; and nothing depends on it. */
  if (!child_reads) fcntl(pair[1], F_SETPIPE_SZ, OUTPUT_PIPE_BYTES);
  return fcntl(pair[1], F_SETFL, O_NONBLOCK) == 0;
}

/* TIOCGPTPEER opens the other end without a path that a guest could have replaced. */
static bool open_terminal(struct ends *ends, const struct start_request *request) {
  struct winsize size = {.ws_col = request->columns, .ws_row = request->rows};
  int unlock = 0;
  ends->out[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (ends->out[1] < 0 || ioctl(ends->out[1], TIOCSPTLCK, &unlock) < 0) return false;
  ends->out[0] = ioctl(ends->out[1], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends->out[0] < 0 || ioctl(ends->out[1], TIOCSWINSZ, &size) < 0) return false;
  ends->in[1] = fcntl(ends->out[1], F_DUPFD_CLOEXEC, 3);
  /* So that the guest's user may open its own terminal by name. */
  if (fchown(ends->out[0], request->uid, (gid_t)-1) == 0) fchmod(ends->out[0], 0620);
  return ends->in[1] >= 0;
}

/* Some descriptors stay free for the host: its connections and its files. */
static bool descriptors_left(void) {
  struct rlimit limit;
  int lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);
  if (lowest >= 0) close(lowest);
  if (lowest >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)lowest + RESERVED_DESCRIPTORS < limit.rlim_cur) return true;
  errno = EMFILE;
  return false;
}

static bool open_ends(struct ends *ends, const struct start_request *request) {
  if (!descriptors_left()) return false;
  if (!open_pipe(ends->report, false)) return false;
  if (request->pty) return open_terminal(ends, request);
  if (!open_pipe(ends->out, false) || !open_pipe(ends->err, false)) return false;
  if (request->with_stdin) return open_pipe(ends->in, true);
  ends->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  return ends->in[0] >= 0;
}

static const char **vector_of(const struct strings *strings) {
  const char **vector = malloc(((size_t)strings->count + 1) * sizeof *vector);
  if (vector == NULL) return NULL;
  const char *at = strings->first;
  for (uint32_t i = 0; i < strings->count; i++, at += strlen(at) + 1) vector[i] = at;
  vector[strings->count] = NULL;
  return vector;
}

static pid_t fork_child(const struct start_request *request, const struct ends *ends) {
  const char **argv = vector_of(&request->argv);
  const char **env = vector_of(&request->env);
  pid_t pid = -1;
  if (argv != NULL && env != NULL) {
    bool pty = request->pty;
    struct child_plan plan = {
        .request = request,
        .argv = (char *const *)argv,
        .env = (char *const *)env,
        .stdin_fd = pty ? ends->out[0] : ends->in[0],
        .stdout_fd = ends->out[0],
        .stderr_fd = pty ? ends->out[0] : ends->err[0],
        .report_fd = ends->report[0],
    };
    pid = fork();
    if (pid == 0) child_run(&plan);
  } else {
    errno = ENOMEM;
  }
  int error = errno;
  free(argv);
  free(env);
  errno = error;
  return pid;
}

static struct process *process_new(struct asker asker, const struct start_request *request) {
  struct process *process = calloc(1, sizeof *process);
  if (process == NULL) return NULL;
  process->id = request->process;
  process->pty = request->pty;
  process->tied_to = request->tied ? asker.connection : 0;
  process->report.fd = process->in.fd = process->out.fd = process->err.fd = -1;
  if (add_waiter(process, asker)) return process;
  free(process);
  return NULL;
}

static void start_new(struct asker asker, const struct start_request *request) {
  struct ends ends = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
  struct process *process = process_count < MAX_PROCESSES ? process_new(asker, request) : NULL;
  if (process == NULL) {
    start_answer(asker, STAGE_SETUP, EAGAIN);
    return;
  }
  process->next = processes;
  processes = process;
  process_count++;
  pid_t pid = -1;
  if (open_ends(&ends, request)) {
    source_init(&process->report, ends.report[1], report_ready, process);
    if (source_watch(&process->report, EPOLLIN)) pid = fork_child(request, &ends);
  }
  if (pid < 0) {
    struct child_report report = {.stage = STAGE_SETUP, .error = errno};
    if (process->report.fd >= 0) ends.report[1] = -1;
    close_all(&ends);
    answer_waiters(process, &report);
    if (start_error_lasts(report.error)) tombstone_put(process->id, report.stage, report.error);
    process_free(process);
    return;
  }
  process->pid = pid;
  if (ends.in[1] >= 0) stdin_open(process, ends.in[1]);
  source_init(&process->out, ends.out[1], NULL, process);
  source_init(&process->err, ends.err[1], NULL, process);
  ends.in[1] = ends.out[1] = ends.err[1] = ends.report[1] = -1;
  close_all(&ends);
}

static bool expectations_hold(const struct start_request *request) {
  for (uint32_t i = 0; i < request->expected_count; i++)
    if (!file_holds(&request->expected[i])) return false;
  return true;
}

void process_start(struct asker asker, const struct start_request *request) {
  struct process *known = process_find(request->process);
  if (request->process > highest) highest = request->process;
  int stage = 0;
  int error = 0;
  if (known != NULL && known->state == PROCESS_STARTING) {
    if (!add_waiter(known, asker)) reply_error(asker, REPLY_RESOURCE_EXHAUSTED, "no memory");
  } else if (known != NULL) {
    reply_ok(asker);
  } else if (tombstone_find(request->process, &stage, &error)) {
    start_answer(asker, stage, error);
  } else if (!expectations_hold(request)) {
    reply_error(asker, REPLY_FAILED_PRECONDITION, "a file holds something else");
  } else {
    start_new(asker, request);
  }
}

/* Until it is reaped, its number and that of its group are its own. */
static void signal_process(const struct process *process, int number, bool alone) {
  if (process->state > PROCESS_RUNNING || kill(alone ? process->pid : -process->pid, number) == 0) return;
  /* Not yet at setsid: its group does not exist. */
  kill(process->pid, number);
}

void process_signal(struct asker asker, const struct signal_request *request) {
  struct process *process = process_find(request->process);
  if (process == NULL && !tombstone_find(request->process, NULL, NULL)) {
    reply_error(asker, REPLY_NOT_FOUND, "no such process");
    return;
  }
  if (process != NULL) signal_process(process, (int)request->signal, request->alone);
  reply_ok(asker);
}

void process_resize(struct asker asker, const struct resize_request *request) {
  struct process *process = process_find(request->process);
  struct winsize size = {.ws_col = request->columns, .ws_row = request->rows};
  if (process == NULL) {
    if (tombstone_find(request->process, NULL, NULL)) reply_ok(asker);
    else reply_error(asker, REPLY_NOT_FOUND, "no such process");
  } else if (!process->pty) {
    reply_error(asker, REPLY_FAILED_PRECONDITION, "the process has no terminal");
  } else {
    if (process->out.fd >= 0) ioctl(process->out.fd, TIOCSWINSZ, &size);
    reply_ok(asker);
  }
}

void process_flow(struct asker asker, const struct flow_request *request) {
  struct process *process = process_find(request->process);
  if (process != NULL) output_flow(process, request->hold);
  if (process != NULL || tombstone_find(request->process, NULL, NULL)) reply_ok(asker);
  else reply_error(asker, REPLY_NOT_FOUND, "no such process");
}

void process_kill_all(struct asker asker) {
  /* From PID 1: everything in the pid name space but itself. ESRCH says that there was nothing. */
  if (kill(-1, SIGKILL) < 0 && errno != ESRCH) reply_error(asker, REPLY_INTERNAL, "kill: %s", strerror(errno));
  else reply_ok(asker);
}

static uint64_t microseconds(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

static void ended(struct process *process, int status, const struct rusage *usage) {
  bool signalled = WIFSIGNALED(status);
  uint8_t *frame = process->ended_frame;
  frame_header(frame, FRAME_EXIT, 0, process->id, 0, 40);
  put_u64(frame + HEADER_BYTES, clock_realtime_us());
  put_u32(frame + HEADER_BYTES + 8, signalled ? 1 : 0);
  put_u32(frame + HEADER_BYTES + 12, (uint32_t)(signalled ? WTERMSIG(status) : WEXITSTATUS(status)));
  put_u64(frame + HEADER_BYTES + 16, microseconds(usage->ru_utime));
  put_u64(frame + HEADER_BYTES + 24, microseconds(usage->ru_stime));
  put_u64(frame + HEADER_BYTES + 32, (uint64_t)usage->ru_maxrss * 1024u);
  process->ended = (struct event){.process = process, .frame = frame, .frame_bytes = sizeof process->ended_frame};
  stdin_end(process);
  output_ended(process);
}

bool processes_reap(void) {
  for (int i = 0; i < REAP_BATCH; i++) {
    int status;
    struct rusage usage;
    pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0) return false;
    struct process *process = processes;
    while (process != NULL && (process->pid != pid || process->state > PROCESS_RUNNING)) process = process->next;
    if (process == NULL) continue;
    /* Dead, so its end of the report pipe is closed and the answer is there. This may free it, when it was no start at all. */
    uint32_t id = process->id;
    if (process->state == PROCESS_STARTING) report_ready(&process->report, EPOLLIN);
    process = process_find(id);
    if (process != NULL) ended(process, status, &usage);
  }
  return true;
}

int processes_tick(void) {
  return output_tick(processes);
}

void processes_resume(void) {
  output_resume(processes);
}

void processes_disconnected(uint64_t connection) {
  for (struct process *process = processes; process != NULL; process = process->next) {
    output_flow(process, false);
    if (process->tied_to == connection) signal_process(process, SIGKILL, false);
  }
}

uint32_t processes_highest(void) {
  return highest;
}
