// Which compiled version a call goes to; included by the dispatching files.
#if defined(__x86_64__)
#define SELECT(which, call)                                                                                          \
  switch (which) {                                                                                                   \
  case LZ_AVX512: return call(avx512);                                                                               \
  case LZ_AVX2: return call(avx2);                                                                                   \
  default: return call(portable);                                                                                    \
  }
#else
#define SELECT(which, call) (void)(which); return call(portable);
#endif
