// Preloaded into a server, stands between it and the disk that holds BAD_DISK_DIRECTORY. What it does stands in the file
// BAD_DISK_CONTROL, read at each call, as one line:
//
//   pass
//   slow MS               each sync takes that much longer
//   hold                  each sync waits until the line is another one
//   fail-sync ERRNO N     the next N syncs fail without syncing; 0: all from now on
//   fail-write ERRNO      writing fails
//
// Each sync that succeeds leaves "START END" in BAD_DISK_LOG, in nanoseconds of the monotonic clock; one that is held
// first leaves "held".
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_int failed_syncs;

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void wait_ms(long ms) {
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
  while (nanosleep(&time, &time) == -1 && errno == EINTR) {
  }
}

static int is_watched(int fd) {
  const char *directory = getenv("BAD_DISK_DIRECTORY");
  char link[64], path[PATH_MAX];
  if (directory == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return strncmp(path, directory, strlen(directory)) == 0;
}

// The plain system call: the functions of this file would ask it again.
static ssize_t (*real_write)(int, const void *, size_t);

static void tell(const char *line) {
  const char *path = getenv("BAD_DISK_LOG");
  if (path == NULL) return;
  if (real_write == NULL) real_write = dlsym(RTLD_NEXT, "write");
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (real_write(fd, line, strlen(line)) < 0) abort();
  close(fd);
}

static void read_mode(char *word, long *first, long *second) {
  char text[128] = "";
  const char *path = getenv("BAD_DISK_CONTROL");
  int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  strcpy(word, "pass");
  *first = *second = 0;
  if (fd < 0) return;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length > 0) sscanf(text, "%31s %ld %ld", word, first, second);
}

// Returns 0, or what the sync is to fail with.
static int spoil_sync(void) {
  char word[32];
  long first, second;
  read_mode(word, &first, &second);
  if (strcmp(word, "hold") == 0) tell("held\n");
  while (strcmp(word, "hold") == 0) {
    wait_ms(5);
    read_mode(word, &first, &second);
  }
  if (strcmp(word, "slow") == 0) wait_ms(first);
  if (strcmp(word, "fail-sync") == 0 && (second == 0 || atomic_fetch_add(&failed_syncs, 1) < second)) return (int)first;
  return 0;
}

static int spoil_write(int fd) {
  char word[32];
  long first, second;
  if (!is_watched(fd)) return 0;
  read_mode(word, &first, &second);
  return strcmp(word, "fail-write") == 0 ? (int)first : 0;
}

static int finish_sync(int result, long long start) {
  char line[64];
  int saved = errno;
  if (result == 0) {
    snprintf(line, sizeof line, "%lld %lld\n", start, now());
    tell(line);
  }
  errno = saved;
  return result;
}

#define SYNC(name)                                          \
  int name(int fd) {                                        \
    static int (*real)(int);                                \
    if (real == NULL) real = dlsym(RTLD_NEXT, #name);       \
    if (!is_watched(fd)) return real(fd);                   \
    long long start = now();                                \
    int problem = spoil_sync();                             \
    if (problem != 0) return errno = problem, -1;           \
    return finish_sync(real(fd), start);                    \
  }

SYNC(fsync)
SYNC(fdatasync)

int msync(void *address, size_t length, int flags) {
  static int (*real)(void *, size_t, int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "msync");
  long long start = now();
  int problem = (flags & MS_SYNC) ? spoil_sync() : 0;
  if (problem != 0) return errno = problem, -1;
  return finish_sync(real(address, length, flags), start);
}

#define WRITE(name, parameters, ...)                                      \
  ssize_t name parameters {                                               \
    static ssize_t (*real) parameters;                                    \
    if (real == NULL) real = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name); \
    int problem = spoil_write(fd);                                        \
    if (problem != 0) return errno = problem, -1;                         \
    return real(__VA_ARGS__);                                             \
  }

WRITE(write, (int fd, const void *bytes, size_t size), fd, bytes, size)
WRITE(pwrite, (int fd, const void *bytes, size_t size, off_t offset), fd, bytes, size, offset)
WRITE(pwrite64, (int fd, const void *bytes, size_t size, off64_t offset), fd, bytes, size, offset)
WRITE(writev, (int fd, const struct iovec *parts, int count), fd, parts, count)
WRITE(pwritev, (int fd, const struct iovec *parts, int count, off_t offset), fd, parts, count, offset)
WRITE(pwritev64, (int fd, const struct iovec *parts, int count, off64_t offset), fd, parts, count, offset)
