#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A process that loses the processor while it opens LMDB: when it is about to map a file of SLOW_OPEN_BYTES, so after it
 * has read the newest transaction from the header and before it tells the others of it, it stops for SLOW_OPEN_MS, and
 * until the file SLOW_OPEN_WHILE is gone.
 */

typedef void *(*map_function)(void *, size_t, int, int, int, off_t);

static void *map(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  static map_function real;
  if (real == NULL) real = (map_function)dlsym(RTLD_NEXT, "mmap64");
  const char *bytes = getenv("SLOW_OPEN_BYTES");
  const char *ms = getenv("SLOW_OPEN_MS");
  const char *present = getenv("SLOW_OPEN_WHILE");
  if (file >= 0 && bytes != NULL && ms != NULL && present != NULL && size == strtoul(bytes, NULL, 10)) {
    write(STDOUT_FILENO, "{\"opening\":true}\n", 17);
    for (long left = atol(ms); left > 0; left--) usleep(1000);
    while (access(present, F_OK) == 0) usleep(1000);
  }
  return real(address, size, protection, flags, file, offset);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  return map(address, size, protection, flags, file, offset);
}

void *mmap64(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  return map(address, size, protection, flags, file, offset);
}
