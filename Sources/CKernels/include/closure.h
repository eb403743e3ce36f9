// A Swift closure that does not escape, lent to other threads for the length of a call.
//
// Swift can only lend one as an escaping closure, and makes that on the heap at every call. Here it is the two words that it is:
// a function in Swift's calling convention and its context, which lies on the stack of whoever waits for the threads.
#ifndef CKERNELS_CLOSURE_H
#define CKERNELS_CLOSURE_H

#include <stdint.h>

typedef struct {
  void *function, *context;
} lz_closure;

// Calls one of type (Int, Int) -> Void.
void lz_closure_call(lz_closure closure, intptr_t first, intptr_t second);

#endif
