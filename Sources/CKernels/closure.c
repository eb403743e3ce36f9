#include "closure.h"

typedef __attribute__((swiftcall)) void function(intptr_t, intptr_t, __attribute__((swift_context)) void *);

// Declared in Model/ThreadPool.swift, where its first parameter is the closure.
__attribute__((swiftcall)) void lz_closure_lend(void *code, void *context, lz_closure *out) {
  *out = (lz_closure){code, context};
}

void lz_closure_call(lz_closure closure, intptr_t first, intptr_t second) {
  ((function *)closure.function)(first, second, closure.context);
}
