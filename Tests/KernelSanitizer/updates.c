// Signs, packing, optimizers and sums over rows, against what they are defined to be.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

static char text[128];
#define CASE(...) (snprintf(text, sizeof text, __VA_ARGS__), current_case = text)

static double signed_value(uint16_t word, int pair, double value) { return word >> pair & 1 ? -value : value; }

static void check_expand(ptrdiff_t rows, ptrdiff_t stride, int weighted, int masked) {
  CASE("expand_signs, %td rows %td apart%s%s", rows, stride, weighted ? ", weighted" : "", masked ? ", masked" : "");
  uint16_t *signs = words(rows), *seen = masked ? words(rows) : NULL;
  fill_words(signs, rows);
  if (seen) fill_words(seen, rows);
  const float *coefficients = weighted ? random_floats(LZ_LANES, 1) : NULL;
  float *out = floats((rows - 1) * stride + LZ_LANES);
  lz_expand_signs(instructions, signs, rows, coefficients, seen, out, stride);
  for (ptrdiff_t row = 0; row < rows; row++)
    for (int p = 0; p < LZ_LANES; p++) {
      const double value = signed_value(signs[row], p, coefficients ? (double)coefficients[p] : 1);
      expect_near("out", row * stride + p, (double)out[row * stride + p], seen && !(seen[row] >> p & 1) ? 0 : value, 0);
    }
  release_all();
}

static void check_nodes(ptrdiff_t count) {
  CASE("expand_nodes, %td words", count);
  uint16_t *signs = words(count);
  fill_words(signs, count);
  const float *coefficients = random_floats(LZ_LANES, 1);
  const ptrdiff_t stride = count + 1;
  float *out = floats_anywhere((LZ_LANES - 1) * stride + count, 1);
  lz_expand_nodes(instructions, signs, count, coefficients, out, stride);
  for (int p = 0; p < LZ_LANES; p++)
    for (ptrdiff_t i = 0; i < count; i++)
      expect_near("out", p * stride + i, (double)out[p * stride + i], signed_value(signs[i], p, (double)coefficients[p]), 0);
  release_all();
}

static void check_sum(ptrdiff_t count, ptrdiff_t tiles) {
  CASE("sum_signs, %td words of %td tiles", count, tiles);
  const ptrdiff_t stride = count + 5;
  uint16_t *signs = words((tiles - 1) * stride + count);
  fill_words(signs, (tiles - 1) * stride + count);
  const float *coefficients = random_floats(tiles * LZ_LANES, 1);
  float *out = floats_anywhere(count, 1);
  lz_sum_signs(instructions, signs, stride, tiles, count, coefficients, out);
  for (ptrdiff_t i = 0; i < count; i++) {
    double sum = 0;
    for (ptrdiff_t pair = 0; pair < tiles * LZ_LANES; pair++)
      sum += signed_value(signs[pair / LZ_LANES * stride + i], (int)(pair % LZ_LANES), (double)coefficients[pair]);
    expect_near("out", i, (double)out[i], sum, (double)(tiles * LZ_LANES) * 0x1p-24);
  }
  release_all();
}

// The words of Random123's kat_vectors for philox4x32 10 with counter and key 0, and the same words for any count.
static void check_drawing(ptrdiff_t count) {
  CASE("draw_signs, %td words", count);
  const lz_philox philox = {{0, 0}, {0, 0, 0}};
  static const uint16_t first[8] = {0xe8d5, 0x6627, 0xc58d, 0xe169, 0xac4c, 0xbc57, 0xdbd8, 0x9b00};
  uint16_t *drawn = words(count), *more = words(count + 100);
  lz_draw_signs(instructions, &philox, count, drawn);
  lz_draw_signs(instructions, &philox, count + 100, more);
  for (ptrdiff_t i = 0; i < count && i < 8; i++) expect_near("words", i, drawn[i], first[i], 0);
  for (ptrdiff_t i = 0; i < count; i++) expect_near("words of more", i, more[i], drawn[i], 0);
  release_all();
}

static void check_packing(ptrdiff_t columns) {
  CASE("pack_rows, %td columns", columns);
  float *from = floats_anywhere(LZ_BLOCK * columns, 3), *to = floats_anywhere(LZ_BLOCK * columns, 1);
  fill_random(from, LZ_BLOCK * columns, 1);
  lz_pack_rows(instructions, from, columns, to);
  for (ptrdiff_t k = 0; k < columns; k++)
    for (int j = 0; j < LZ_BLOCK; j++)
      expect_near("to", k * LZ_BLOCK + j, (double)to[k * LZ_BLOCK + j], (double)from[j * columns + k], 0);
  release_all();
}

void check_signs(void) {
  for (ptrdiff_t rows = 1; rows < 8; rows += 3)
    for (int variant = 0; variant < 4; variant++) check_expand(rows, rows == 4 ? 48 : LZ_LANES, variant & 1, variant >> 1);
  for (ptrdiff_t count = 1; count < 20; count += 6)
    for (ptrdiff_t tiles = 1; tiles < 4; tiles++) check_sum(count, tiles);
  for (ptrdiff_t count = 1; count < 40; count += 3) check_nodes(count);
  for (ptrdiff_t count = 1; count < 150; count += 7) check_drawing(count);
  for (ptrdiff_t columns = 1; columns < 12; columns++) check_packing(columns);
}

static void check_optimizer(ptrdiff_t count, ptrdiff_t offset, int adam, float decay) {
  CASE("%s, %td parameters from %td, decay %g", adam ? "adam" : "sgd", count, offset, (double)decay);
  const lz_optimizer o = {.rate = 0.1f, .momentum = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f, .correction1 = 2,
                          .correction2 = 3, .decay = decay};
  float *gradient = floats_anywhere(count, offset), *first = floats_anywhere(count, offset);
  float *second = floats_anywhere(count, offset), *parameters = floats_anywhere(count, offset);
  fill_random(gradient, count, 1), fill_random(first, count, 1), fill_random(second, count, 1), fill_random(parameters, count, 1);
  for (ptrdiff_t i = 0; i < count; i++) second[i] = fabsf(second[i]);
  const float *m = copy_of(first, count), *s = copy_of(second, count), *theta = copy_of(parameters, count);
  if (adam) lz_adam(instructions, &o, count, gradient, first, second, parameters);
  else lz_sgd(instructions, &o, count, gradient, first, parameters);
  for (ptrdiff_t i = 0; i < count; i++) {
    const double g = (double)gradient[i], keep = 1 - 0.1 * (double)decay;
    const double mean = adam ? 0.9 * (double)m[i] + 0.1 * g : 0.9 * (double)m[i] + g;
    const double square = 0.99 * (double)s[i] + 0.01 * g * g;
    const double step = adam ? 2 * mean / (sqrt(3 * square) + 1e-8) : mean;
    expect_near("first", i, (double)first[i], mean, 8 * 0x1p-24);
    if (adam) expect_near("second", i, (double)second[i], square, 8 * 0x1p-24);
    expect_near("parameters", i, (double)parameters[i], keep * (double)theta[i] - 0.1 * step, (1 + fabs(step)) * 16 * 0x1p-24);
  }
  release_all();
}

static void check_descent(ptrdiff_t count, ptrdiff_t offset) {
  CASE("descend, %td parameters from %td", count, offset);
  float *weights = floats_anywhere(count, offset), *gradient = floats_anywhere(count, 2 * offset);
  fill_random(weights, count, 1);
  fill_random(gradient, count, 1);
  const float *before = copy_of(weights, count);
  lz_descend(instructions, count, 0.3f, 0.9f, gradient, weights);
  for (ptrdiff_t i = 0; i < count; i++)
    expect_near("weights", i, (double)weights[i], 0.9 * (double)before[i] - 0.3 * (double)gradient[i], 4 * 0x1p-24);
  release_all();
}

void check_optimizers(void) {
  for (ptrdiff_t count = 1; count < 50; count += 8)
    for (int variant = 0; variant < 4; variant++) check_optimizer(count, count % 5, variant & 1, variant >> 1 ? 0.5f : 0);
  for (ptrdiff_t count = 1; count < 40; count += 3) check_descent(count, count % 5);
  CASE("fma_rounds");
  expect_near("operations", 0, lz_fma_rounds(instructions, 3) > 0, 1, 0);
}

static void check_softmax(ptrdiff_t rows, ptrdiff_t vocabulary) {
  CASE("softmax_rows, %td × %td", rows, vocabulary);
  const ptrdiff_t stride = (vocabulary + 15) / 16 * 16;
  float *logits = random_floats(rows * stride, 3), *bias = floats_anywhere(vocabulary, 1);
  fill_random(bias, vocabulary, 1);
  uint32_t *targets = tokens(rows);
  fill_tokens(targets, rows, (uint32_t)vocabulary);
  const float *before = copy_of(logits, rows * stride);
  const double loss = lz_softmax_rows(instructions, logits, stride, rows, vocabulary, bias, targets, 0.25f);
  double total = 0;
  for (ptrdiff_t row = 0; row < rows; row++) {
    if (targets[row] & LZ_MARK) {
      for (ptrdiff_t v = 0; v < vocabulary; v++) expect_near("logits", row * stride + v, (double)logits[row * stride + v], 0, 0);
      continue;
    }
    double sum = 0;
    for (ptrdiff_t v = 0; v < vocabulary; v++) sum += exp((double)before[row * stride + v] + (double)bias[v]);
    const uint32_t target = targets[row];
    total += log(sum) - (double)before[row * stride + target] - (double)bias[target];
    for (ptrdiff_t v = 0; v < vocabulary; v++) {
      const double p = exp((double)before[row * stride + v] + (double)bias[v]) / sum;
      expect_near("logits", row * stride + v, (double)logits[row * stride + v], 0.25 * (p - (v == target)),
                  (double)(vocabulary + 16) * 0x1p-24);
    }
  }
  expect_near("loss", 0, loss, total, (double)(rows * (vocabulary + 16)) * 0x1p-24);
  release_all();
}

static void check_addition(ptrdiff_t rows, ptrdiff_t columns, int with_table) {
  CASE("add_rows, %td × %td%s", rows, columns, with_table ? ", by token" : "");
  const ptrdiff_t stride = columns + 3, table_stride = columns + 1, vocabulary = 5;
  float *from = floats_anywhere((rows - 1) * stride + columns, 1), *sum = floats_anywhere(columns, 3);
  const ptrdiff_t cells = (vocabulary - 1) * table_stride + columns;
  float *table = with_table ? floats_anywhere(cells, 2) : NULL;
  fill_random(from, (rows - 1) * stride + columns, 1);
  fill_random(sum, columns, 1);
  if (table) fill_random(table, cells, 1);
  uint32_t *targets = tokens(rows);
  fill_tokens(targets, rows, (uint32_t)vocabulary);
  const float *sum_before = copy_of(sum, columns), *table_before = table ? copy_of(table, cells) : NULL;
  lz_add_rows(instructions, from, stride, rows, columns, sum, table ? targets : NULL, table, table_stride);
  for (ptrdiff_t c = 0; c < columns; c++) {
    double total = (double)sum_before[c];
    for (ptrdiff_t row = 0; row < rows; row++) total += (double)from[row * stride + c];
    expect_near("sum", c, (double)sum[c], total, (double)rows * (double)rows * 0x1p-24);
    for (ptrdiff_t v = 0; table && v < vocabulary; v++) {
      double own = (double)table_before[v * table_stride + c];
      for (ptrdiff_t row = 0; row < rows; row++)
        if ((targets[row] & LZ_ID) == v) own += (double)from[row * stride + c];
      expect_near("table", v * table_stride + c, (double)table[v * table_stride + c], own, (double)rows * (double)rows * 0x1p-24);
    }
  }
  release_all();
}

static void check_taking(ptrdiff_t rows, ptrdiff_t columns) {
  CASE("take_rows, %td × %td", rows, columns);
  const ptrdiff_t stride = columns + 3, table_stride = columns + 1, vocabulary = 5, from_cells = (vocabulary - 1) * stride + columns;
  const ptrdiff_t cells = (vocabulary - 1) * table_stride + columns;
  float *from = floats_anywhere(from_cells, 1), *table = floats_anywhere(cells, 2);
  fill_random(from, from_cells, 1);
  fill_random(table, cells, 1);
  uint32_t *targets = tokens(rows);
  fill_tokens(targets, rows, (uint32_t)vocabulary);
  const float *from_before = copy_of(from, from_cells), *table_before = copy_of(table, cells);
  lz_take_rows(instructions, from, stride, rows, columns, targets, table, table_stride);
  for (ptrdiff_t v = 0; v < vocabulary; v++) {
    int taken = 0;
    for (ptrdiff_t row = 0; row < rows; row++) taken |= (targets[row] & LZ_ID) == v;
    for (ptrdiff_t c = 0; c < columns; c++) {
      const double own = (double)from_before[v * stride + c], before = (double)table_before[v * table_stride + c];
      expect_near("taken", v * table_stride + c, (double)table[v * table_stride + c], taken ? before + own : before, 0x1p-22);
      expect_near("left", v * stride + c, (double)from[v * stride + c], taken ? 0 : own, 0);
    }
  }
  release_all();
}

void check_rows(void) {
  for (ptrdiff_t vocabulary = 1; vocabulary < 60; vocabulary += 7) check_softmax(vocabulary % 4 + 1, vocabulary);
  for (ptrdiff_t columns = 1; columns < 40; columns += 3) check_addition(columns % 7 + 1, columns, columns % 2);
  for (ptrdiff_t columns = 1; columns < 40; columns += 3) check_taking(columns % 9 + 1, columns);
  for (ptrdiff_t count = 1; count < 40; count++) {
    CASE("sum_squares of %td", count);
    float *x = floats_anywhere(count, count % 3);
    fill_random(x, count, 1);
    double sum = 0;
    for (ptrdiff_t i = 0; i < count; i++) sum += (double)x[i] * (double)x[i];
    expect_near("sum", 0, lz_sum_squares(instructions, x, count), sum, 1e-13);
    release_all();
  }
}
