// The kernels for any processor: vectors of four, which are SSE2 on x86-64 and NEON on arm64.
#define VL 4
#define NAME(f) lz_##f##_portable
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

