// What the checks share: blocks of memory that end where their contract ends, random values, and comparisons.
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "CKernels.h"

// Memory for `count` elements and not one more, on a cache line's boundary as the program has it; freed by release_all.
float *floats(ptrdiff_t count);
double *doubles(ptrdiff_t count);
uint16_t *words(ptrdiff_t count);
uint32_t *tokens(ptrdiff_t count);

// The same `offset` elements behind a boundary, for kernels that take their memory anywhere.
float *floats_anywhere(ptrdiff_t count, ptrdiff_t offset);

void release_all(void);

void fill_random(float *x, ptrdiff_t count, float scale);
void fill_words(uint16_t *x, ptrdiff_t count);
// Ids below `below`, a quarter of them marked.
void fill_tokens(uint32_t *x, ptrdiff_t count, uint32_t below);
float *random_floats(ptrdiff_t count, float scale);
float *copy_of(const float *x, ptrdiff_t count);

// Ends the program with a message where two values differ by more than `tolerance`·max(1, |expected|).
void expect_near(const char *what, ptrdiff_t index, double value, double expected, double tolerance);
void expect_floats(const char *what, const float *values, const float *expected, ptrdiff_t count, double tolerance);

// The case and the instructions that messages name.
extern const char *current_case;
extern lz_instructions instructions;

void check_population(void);
void check_sequence(void);
void check_signs(void);
void check_optimizers(void);
void check_rows(void);
void check_sweeps(void);

#endif
