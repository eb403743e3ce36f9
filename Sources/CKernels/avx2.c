// The kernels for AVX2 with FMA.
#if defined(__x86_64__)
#include <immintrin.h>
#define VL 8
#define NAME(f) lz_##f##_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "population.h"
#include "draw.h"
#include "normal.h"
#include "columns.h"
#include "heads.h"
#include "readout_gradient.h"
#include "sequence.h"
#include "update.h"
#include "readout_strips.h"
#include "sweep_tape.h"
#include "chain.h"
#include "rows.h"
#include "samples.h"
#pragma clang attribute pop
#endif
