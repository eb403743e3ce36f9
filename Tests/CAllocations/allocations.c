// Memory comes from glibc as ever, under the names that it has for those who stand in for it; so what is freed needs no watch.
#include <stddef.h>

#include "CAllocations.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(SANITIZED)
#include <errno.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Thread_local int counting;
static _Thread_local int64_t allocations, bytes_allocated;

static void note(size_t size) {
  if (!counting) return;
  allocations += 1;
  bytes_allocated += (int64_t)size;
}

void *malloc(size_t size) { note(size); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { note(count * size); return __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { note(size); return __libc_realloc(memory, size); }
void *memalign(size_t alignment, size_t size) { note(size); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { note(size); return __libc_memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  note(size);
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  void *new = __libc_memalign(alignment, size);
  if (!new) return ENOMEM;
  *memory = new;
  return 0;
}

int allocations_can_be_counted(void) { return 1; }

void allocations_begin(void) {
  allocations = bytes_allocated = 0;
  counting = 1;
}

int64_t allocations_end(int64_t *bytes) {
  counting = 0;
  if (bytes) *bytes = bytes_allocated;
  return allocations;
}

#else

int allocations_can_be_counted(void) { return 0; }
void allocations_begin(void) {}
int64_t allocations_end(int64_t *bytes) {
  if (bytes) *bytes = 0;
  return 0;
}

#endif
