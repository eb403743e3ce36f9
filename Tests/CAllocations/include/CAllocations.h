// Counts heap allocations of chosen threads, by standing in for the C library's allocator. For tests.
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stdint.h>

// 1 if allocations can be counted here: glibc, and no sanitizer that has an allocator of its own.
int allocations_can_be_counted(void);

// The calling thread's allocations are counted from here on, from 0.
void allocations_begin(void);

// Ends that; the number of allocations since. `bytes`, if not null: their sum.
int64_t allocations_end(int64_t *bytes);

#endif
