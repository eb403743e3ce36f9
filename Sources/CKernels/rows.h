// Kernels over rows: softmax and its loss, sums of rows, the norm. For one vector width.

#include <math.h>

double NAME(softmax_rows)(float *logits, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t vocabulary, const float *bias,
                          const uint32_t *targets, float scale) {
  const ptrdiff_t padded = (vocabulary + VL - 1) / VL * VL, whole = vocabulary / VL * VL;
  double loss = 0;
  for (ptrdiff_t row = 0; row < rows; row++) {
    float *x = logits + row * stride;
    if (targets[row] & LZ_MARK) {
      memset(x, 0, sizeof(float) * (size_t)padded);
      continue;
    }
    for (ptrdiff_t v = 0; v < whole; v += VL) store(x + v, load(x + v) + load_any(bias + v));
    for (ptrdiff_t v = whole; v < vocabulary; v++) x[v] += bias[v];
    for (ptrdiff_t v = vocabulary; v < padded; v++) x[v] = LZ_LOWEST;
    vf tops = load(x);
    for (ptrdiff_t v = VL; v < padded; v += VL) tops = at_least(tops, load(x + v));
    float top = tops[0];
    for (int i = 1; i < VL; i++) top = tops[i] > top ? tops[i] : top;
    const float target = x[targets[row]];
    vf sums = splat(0);
    for (ptrdiff_t v = 0; v < padded; v += VL) {
      const vf e = exp_negative(load(x + v) - splat(top));
      store(x + v, e);
      sums += e;
    }
    float sum = 0;
    for (int i = 0; i < VL; i++) sum += sums[i];
    loss += (double)top + log((double)sum) - (double)target;
    const vf factor = splat(scale / sum);
    for (ptrdiff_t v = 0; v < padded; v += VL) store(x + v, load(x + v) * factor);
    x[targets[row]] -= scale;
  }
  return loss;
}

void NAME(add_rows)(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, float *sum,
                    const uint32_t *targets, float *table, ptrdiff_t table_stride) {
  const ptrdiff_t whole = columns / VL * VL;
  for (ptrdiff_t column = 0; column < whole; column += VL) {
    vf total = load_any(sum + column);
    for (ptrdiff_t row = 0; row < rows; row++) total += load_any(from + row * stride + column);
    store_any(sum + column, total);
  }
  for (ptrdiff_t row = 0; row < rows; row++) {
    const float *x = from + row * stride;
    for (ptrdiff_t column = whole; column < columns; column++) sum[column] += x[column];
    if (!table) continue;
    float *to = table + (ptrdiff_t)(targets[row] & LZ_ID) * table_stride;
    for (ptrdiff_t column = 0; column < whole; column += VL)
      store_any(to + column, load_any(to + column) + load_any(x + column));
    for (ptrdiff_t column = whole; column < columns; column++) to[column] += x[column];
  }
}

void NAME(take_rows)(float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns, const uint32_t *targets, float *table,
                     ptrdiff_t table_stride) {
  const ptrdiff_t whole = columns / VL * VL;
  for (ptrdiff_t row = 0; row < rows; row++) {
    const ptrdiff_t target = (ptrdiff_t)(targets[row] & LZ_ID);
    float *x = from + target * stride, *to = table + target * table_stride;
    for (ptrdiff_t column = 0; column < whole; column += VL) {
      store_any(to + column, load_any(to + column) + load_any(x + column));
      store_any(x + column, splat(0));
    }
    for (ptrdiff_t column = whole; column < columns; column++) to[column] += x[column], x[column] = 0;
  }
}

double NAME(sum_squares)(const float *x, ptrdiff_t count) {
  vd sums = (vd)(0.0);
  const ptrdiff_t whole = count / VL * VL;
  for (ptrdiff_t i = 0; i < whole; i += VL) {
    const vd value = __builtin_convertvector(load_any(x + i), vd);
    sums += value * value;
  }
  double sum = 0;
  for (int i = 0; i < VL; i++) sum += sums[i];
  for (ptrdiff_t i = whole; i < count; i++) sum += (double)x[i] * (double)x[i];
  return sum;
}

void NAME(descend)(ptrdiff_t count, float rate, float keep, const float *gradient, float *weights) {
  const ptrdiff_t whole = count / VL * VL;
  for (ptrdiff_t i = 0; i < whole; i += VL)
    store_any(weights + i, splat(keep) * load_any(weights + i) - splat(rate) * load_any(gradient + i));
  for (ptrdiff_t i = whole; i < count; i++) weights[i] = keep * weights[i] - rate * gradient[i];
}
