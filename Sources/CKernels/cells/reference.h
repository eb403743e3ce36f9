// The cells as their definitions read, in double. A number carries its derivative along some direction as an imaginary part that is far
// too small to be seen in the value: what is written for values gives derivatives too.
#ifndef REFERENCE_CELLS_H
#define REFERENCE_CELLS_H

#include <complex.h>
#include <math.h>

typedef double complex ref;

#define REF_SCALE 1e-100

static inline ref ref_of(double value, double derivative) { return __builtin_complex(value, derivative * REF_SCALE); }
static inline double ref_derivative(ref x) { return cimag(x) / REF_SCALE; }

// f(x) of a number, for a real f with the given value and slope.
static inline ref ref_chain(ref x, double value, double slope) { return __builtin_complex(value, slope * cimag(x)); }

static inline double real_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline ref ref_sigmoid(ref x) {
  const double s = real_sigmoid(creal(x));
  return ref_chain(x, s, s * (1 - s));
}
static inline ref ref_tanh(ref x) {
  const double t = tanh(creal(x));
  return ref_chain(x, t, 1 - t * t);
}
static inline ref ref_exp(ref x) { return ref_chain(x, exp(creal(x)), exp(creal(x))); }
static inline ref ref_log_sigmoid(ref x) {
  const double v = creal(x);
  return ref_chain(x, fmin(v, 0) - log1p(exp(-fabs(v))), 1 - real_sigmoid(v));
}
// x/√(mean x² + 10⁻⁶) of the stage that a norm reads.
static inline ref ref_norm(ref x, ref squares, ptrdiff_t units) {
  const double mean = creal(squares) / (double)units + (double)LZ_NORM_EPSILON;
  return x * ref_chain(squares, 1 / sqrt(mean), -0.5 / (mean * sqrt(mean) * (double)units));
}
static inline ref ref_sqrt(ref x) {
  const double root = sqrt(creal(x));
  return ref_chain(x, root, 0.5 / root);
}
// 1 − eˣ
static inline ref ref_below_one(ref x) { return ref_chain(x, -expm1(creal(x)), -exp(creal(x))); }
static inline ref ref_most(ref a, ref b) { return creal(a) > creal(b) ? a : b; }

#define LZ_REFERENCE_CELLS
#include "all.h"

static inline void cell_reference(int cell, const ref *a, ref aside, const ref *before, ref *after) {
  switch (cell) {
  #define LZ_CELL(name, rows, states, scalars, past, extra) case LZ_CELL_##name: name##_reference(a, aside, before, after); break;
  #include "cells.def"
  #undef LZ_CELL
  }
}

#endif
