#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *current_case = "";
lz_instructions instructions = LZ_PORTABLE;

static void *blocks[4096];
static int block_count;

static void *block(ptrdiff_t bytes) {
  void *memory = NULL;
  // posix_memalign, because aligned_alloc wants a size in whole multiples of the alignment
  if (block_count == 4096 || posix_memalign(&memory, 64, bytes ? (size_t)bytes : 1) != 0) abort();
  blocks[block_count++] = memory;
  return memory;
}

float *floats(ptrdiff_t count) { return block(count * (ptrdiff_t)sizeof(float)); }
double *doubles(ptrdiff_t count) { return block(count * (ptrdiff_t)sizeof(double)); }
uint16_t *words(ptrdiff_t count) { return block(count * (ptrdiff_t)sizeof(uint16_t)); }
uint32_t *tokens(ptrdiff_t count) { return block(count * (ptrdiff_t)sizeof(uint32_t)); }
float *floats_anywhere(ptrdiff_t count, ptrdiff_t offset) { return floats(count + offset) + offset; }

void release_all(void) {
  for (int i = 0; i < block_count; i++) free(blocks[i]);
  block_count = 0;
}

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t next(void) { // xorshift64*
  state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
  return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
}

void fill_random(float *x, ptrdiff_t count, float scale) {
  for (ptrdiff_t i = 0; i < count; i++) x[i] = scale * ((float)(next() >> 8) * 0x1p-23f - 1);
}

void fill_words(uint16_t *x, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) x[i] = (uint16_t)(next() >> 16);
}

void fill_tokens(uint32_t *x, ptrdiff_t count, uint32_t below) {
  for (ptrdiff_t i = 0; i < count; i++) x[i] = next() % below | (next() % 4 == 0 ? LZ_MARK : 0);
}

float *random_floats(ptrdiff_t count, float scale) {
  float *x = floats(count);
  fill_random(x, count, scale);
  return x;
}

float *copy_of(const float *x, ptrdiff_t count) {
  return memcpy(floats(count), x, sizeof(float) * (size_t)count);
}

static const char *name(lz_instructions which) {
  switch (which) {
  case LZ_REFERENCE: return "reference";
  case LZ_PORTABLE: return "portable";
  case LZ_AVX2: return "avx2";
  case LZ_AVX512: return "avx512";
  }
  return "?";
}

void expect_near(const char *what, ptrdiff_t index, double value, double expected, double tolerance) {
  const double size = fabs(expected) > 1 ? fabs(expected) : 1;
  if (fabs(value - expected) <= tolerance * size) return; // NaN is not
  fprintf(stderr, "%s, %s: %s[%td] is %.9g and should be %.9g, within %.2g\n", name(instructions), current_case, what,
          index, value, expected, tolerance * size);
  exit(1);
}

void expect_floats(const char *what, const float *values, const float *expected, ptrdiff_t count, double tolerance) {
  for (ptrdiff_t i = 0; i < count; i++) expect_near(what, i, (double)values[i], (double)expected[i], tolerance);
}

static void check_all(lz_instructions which) {
  if (!lz_supported(which)) {
    printf("%s: not supported here\n", name(which));
    return;
  }
  instructions = which;
  check_population();
  check_sequence();
  check_signs();
  check_optimizers();
  check_rows();
  check_sweeps();
  printf("%s: clean\n", name(which));
}

// Arguments: the instruction sets to run, all if there are none.
int main(int count, char **arguments) {
  for (lz_instructions which = LZ_PORTABLE; which <= LZ_AVX512; which++) {
    int wanted = count == 1;
    for (int i = 1; i < count; i++) wanted |= strcmp(arguments[i], name(which)) == 0;
    if (wanted) check_all(which);
  }
  return 0;
}
