#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "paths.h"

struct upload {
  bool active;
  struct asker asker;
  int error;
  int folder;
  int fd;
  char name[256];
  char temporary[32];
  mode_t mode;
  uid_t uid;
  gid_t gid;
};

struct download {
  struct download *next;
  struct asker asker;
  int fd;
  uint64_t left;
};

static struct upload upload = {.folder = -1, .fd = -1};
static struct download *downloads;
static unsigned download_count;

static enum reply_code code_of(int error) {
  switch (error) {
    case ENOENT:
      return REPLY_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case EXDEV:
    case ETXTBSY:
      return REPLY_PERMISSION_DENIED;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return REPLY_RESOURCE_EXHAUSTED;
    case EFBIG:
      return REPLY_PAYLOAD_TOO_LARGE;
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EINVAL:
      return REPLY_INVALID_ARGUMENT;
    default:
      return REPLY_INTERNAL;
  }
}

static void answer_error(struct asker asker, int error) {
  const char *message = error == ELOOP    ? "a symbolic link is in the way"
                        : error == EXDEV  ? "not a file system of the guest"
                        : error == EINVAL ? "not a regular file"
                                          : strerror(error);
  reply_error(asker, code_of(error), "%s", message);
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Written beside its place and moved there whole: nobody sees half a file, and a hard link's other names keep their content. */
static int upload_open(const struct write_file_request *request) {
  const struct parents parents = {.make = true, .uid = request->uid, .gid = request->gid};
  upload.folder = path_open_parent(request->path, &parents, upload.name);
  if (upload.folder < 0) return errno;
  size_t length = strlen(request->path);
  if (request->path[length - 1] == '/') return EISDIR;
  struct stat info;
  if (fstatat(upload.folder, upload.name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(info.st_mode))
    return S_ISLNK(info.st_mode) ? ELOOP : S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = clock_realtime_us();
  snprintf(upload.temporary, sizeof upload.temporary, ".sandbar-%016llx", (unsigned long long)random);
  upload.fd = openat(upload.folder, upload.temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  return upload.fd < 0 ? errno : 0;
}

static int upload_write(const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t written = write(upload.fd, data, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    data += written;
    length -= (size_t)written;
  }
  return 0;
}

static int upload_place(void) {
  /* The owner first: a change of owner takes set-user-id bits away. */
  if (fchown(upload.fd, upload.uid, upload.gid) < 0 || fchmod(upload.fd, upload.mode) < 0) return errno;
  return renameat(upload.folder, upload.temporary, upload.folder, upload.name) < 0 ? errno : 0;
}

static void upload_close(bool placed) {
  if (upload.fd >= 0 && !placed) unlinkat(upload.folder, upload.temporary, 0);
  close_fd(&upload.fd);
  close_fd(&upload.folder);
  upload.active = false;
}

static void upload_piece(const uint8_t *data, size_t length, bool more) {
  if (upload.error == 0) upload.error = upload_write(data, length);
  if (more) return;
  if (upload.error == 0) upload.error = upload_place();
  int error = upload.error;
  upload_close(error == 0);
  if (error == 0) reply_ok(upload.asker);
  else answer_error(upload.asker, error);
}

/* A path that ends in a slash and has no content is a folder, made like the folders on the way to a file. */
static int folder_make(const struct write_file_request *request) {
  const struct parents parents = {.make = true, .uid = request->uid, .gid = request->gid};
  char inside[PATH_MAX + 1];
  char name[256];
  int length = snprintf(inside, sizeof inside, "%s.", request->path);
  if (length < 0 || (size_t)length >= sizeof inside) return ENAMETOOLONG;
  int folder = path_open_parent(inside, &parents, name);
  if (folder < 0) return errno;
  close(folder);
  return 0;
}

static bool names_folder(const struct write_file_request *request) {
  size_t length = strlen(request->path);
  return length > 1 && request->path[length - 1] == '/' && request->length == 0;
}

bool file_write(struct asker asker, const struct write_file_request *request, bool more) {
  if (!more && names_folder(request)) {
    int error = folder_make(request);
    if (error == 0) reply_ok(asker);
    else answer_error(asker, error);
    return true;
  }
  if (upload.active) return false;
  upload.active = true;
  upload.asker = asker;
  upload.mode = request->mode;
  upload.uid = request->uid;
  upload.gid = request->gid;
  upload.error = upload_open(request);
  upload_piece(request->data, request->length, more);
  return true;
}

bool file_write_more(struct asker asker, const uint8_t *data, size_t length, bool more) {
  if (!upload.active || upload.asker.request != asker.request) return false;
  upload_piece(data, length, more);
  return true;
}

/* The kind is known before it is opened for real: opening a device or a FIFO has effects of its own. */
static int open_regular(const char *path, uint64_t max_bytes, int *out) {
  const struct parents parents = {.make = false};
  char name[256];
  int folder = path_open_parent(path, &parents, name);
  if (folder < 0) return errno;
  int found = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int error = errno;
  close(folder);
  if (found < 0) return error;
  struct stat info;
  error = fstat(found, &info) < 0 ? errno : S_ISLNK(info.st_mode) ? ELOOP : S_ISREG(info.st_mode) ? 0 : EINVAL;
  if (error == 0 && (uint64_t)info.st_size > max_bytes) error = EFBIG;
  if (error == 0) {
    char link[48];
    snprintf(link, sizeof link, "/proc/self/fd/%d", found);
    *out = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (*out < 0) error = errno;
  }
  close(found);
  return error;
}

void file_read(struct asker asker, const struct read_file_request *request) {
  int fd = -1;
  int error = download_count >= MAX_DOWNLOADS ? EMFILE : open_regular(request->path, request->max_bytes, &fd);
  struct download *download = error == 0 ? malloc(sizeof *download) : NULL;
  if (error == 0 && download == NULL) error = ENOMEM;
  if (error != 0) {
    close_fd(&fd);
    answer_error(asker, error);
    return;
  }
  *download = (struct download){.asker = asker, .fd = fd, .left = request->max_bytes};
  struct download **end = &downloads;
  while (*end != NULL) end = &(*end)->next;
  *end = download;
  download_count++;
}

bool file_holds(const struct expected_file *file) {
  int fd = -1;
  int error = open_regular(file->path, file->length, &fd);
  /* Larger than expected. */
  if (error == EFBIG) return false;
  if (error != 0) return file->length == 0;
  uint8_t piece[4096];
  size_t at = 0;
  ssize_t length;
  while ((length = read(fd, piece, sizeof piece)) > 0) {
    if ((size_t)length > file->length - at || memcmp(piece, file->content + at, (size_t)length) != 0) break;
    at += (size_t)length;
  }
  close(fd);
  return length == 0 && at == file->length;
}

bool file_reads_pending(void) {
  return downloads != NULL;
}

static void download_close(void) {
  struct download *download = downloads;
  downloads = download->next;
  download_count--;
  close(download->fd);
  free(download);
}

size_t file_read_next(uint8_t *out) {
  struct download *download = downloads;
  struct asker asker = download->asker;
  ssize_t length = read(download->fd, out + HEADER_BYTES, MAX_CHUNK_BYTES);
  if (length > 0 && (uint64_t)length <= download->left) {
    download->left -= (uint64_t)length;
    frame_header(out, FRAME_FILE_DATA, 0, asker.request, 0, (uint32_t)length);
    return HEADER_BYTES + (size_t)length;
  }
  int error = errno;
  download_close();
  if (length == 0) reply_ok(asker);
  else answer_error(asker, length > 0 ? EFBIG : error);
  return 0;
}

void files_reset(void) {
  if (upload.active) upload_close(false);
  while (downloads != NULL) download_close();
}
