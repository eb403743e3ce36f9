// Layer norm (Ba, Kiros and Hinton 2016, arXiv 1607.06450) of the h of one stage, or of two as one vector: h = g∘(x − mean)/sd + b, the
// variance of all units without Bessel's correction, 10⁻⁵ added to it. A unit's two scalars are g and b.

#define LAYER_NORM_EPSILON 1e-5f

// What is normed: units of two stages, one after the other; the second may have none.
typedef struct {
  const float *rows[2];
  ptrdiff_t counts[2];
} norm_input;

// Scalars of a stage as a tile's columns have them, those of the "+" columns and of the "−" columns each moved by an ε along a direction.
typedef struct {
  const float *weights;
  const uint16_t *signs[2];
  float epsilon[2];
  const float *entries; // [..][16] of normal directions, which have no signs; else null
} tile_scalars;

INLINE vf tile_scalar(const tile_scalars *s, ptrdiff_t index, int column) {
  const int side = column / LZ_LANES, lane = column % LZ_LANES;
  const vf epsilon = splat(s->epsilon[side]);
  const vf move = s->entries ? epsilon * load(s->entries + index * LZ_LANES + lane) : negated(epsilon, s->signs[side][index], lane);
  return splat(s->weights[index]) + move;
}

typedef struct { vf mean, inverse; } column_moments;

// Mean and 1/sd of VL columns over all units.
INLINE column_moments moments_of_columns(const norm_input *in, int column) {
  vf sum = splat(0), squares = splat(0);
  const vf units = splat((float)(in->counts[0] + in->counts[1]));
  for (int part = 0; part < 2; part++)
    for (ptrdiff_t u = 0; u < in->counts[part]; u++) sum += load(in->rows[part] + u * LZ_COLUMNS + column);
  const vf mean = sum / units;
  for (int part = 0; part < 2; part++)
    for (ptrdiff_t u = 0; u < in->counts[part]; u++) {
      const vf apart = load(in->rows[part] + u * LZ_COLUMNS + column) - mean;
      squares += apart * apart;
    }
  return (column_moments){mean, splat(1) / __builtin_elementwise_sqrt(squares / units + splat(LAYER_NORM_EPSILON))};
}

// A tile's columns, [units][32].
static void NAME(layer_norm_columns)(const norm_input *in, const tile_scalars *scalars, float *h) {
  for (int column = 0; column < LZ_COLUMNS; column += VL) {
    const column_moments m = moments_of_columns(in, column);
    ptrdiff_t unit = 0;
    for (int part = 0; part < 2; part++)
      for (ptrdiff_t u = 0; u < in->counts[part]; u++, unit++) {
        const vf x = (load(in->rows[part] + u * LZ_COLUMNS + column) - m.mean) * m.inverse;
        store(h + unit * LZ_COLUMNS + column, x * tile_scalar(scalars, 2 * unit, column) + tile_scalar(scalars, 2 * unit + 1, column));
      }
  }
}

// MARK: One vector, units side by side

// Σ (x − a)·(y − b)
static float NAME(product_about)(const float *x, float a, const float *y, float b, ptrdiff_t count) {
  vf sums = splat(0);
  ptrdiff_t i = 0;
  for (; i + VL <= count; i += VL) sums += (load_any(x + i) - splat(a)) * (load_any(y + i) - splat(b));
  float sum = 0;
  for (int lane = 0; lane < VL; lane++) sum += sums[lane];
  for (; i < count; i++) sum += (x[i] - a) * (y[i] - b);
  return sum;
}

static float NAME(sum_of)(const float *x, ptrdiff_t count) {
  vf sums = splat(0);
  ptrdiff_t i = 0;
  for (; i + VL <= count; i += VL) sums += load_any(x + i);
  float sum = 0;
  for (int lane = 0; lane < VL; lane++) sum += sums[lane];
  for (; i < count; i++) sum += x[i];
  return sum;
}

typedef struct { float mean, inverse; } moments;

static moments NAME(moments_of)(const norm_input *in) {
  const float units = (float)(in->counts[0] + in->counts[1]);
  float sum = 0, squares = 0;
  for (int part = 0; part < 2; part++) sum += NAME(sum_of)(in->rows[part], in->counts[part]);
  const float mean = sum / units;
  for (int part = 0; part < 2; part++)
    squares += NAME(product_about)(in->rows[part], mean, in->rows[part], mean, in->counts[part]);
  return (moments){mean, 1 / __builtin_sqrtf(squares / units + LAYER_NORM_EPSILON)};
}

static moments NAME(moments_of_one)(const float *x, ptrdiff_t count) {
  const norm_input in = {{x, x}, {count, 0}};
  return NAME(moments_of)(&in);
}

// `scalars`: [units][2]
static void NAME(layer_norm)(const norm_input *in, const float *scalars, float *restrict h) {
  const moments m = NAME(moments_of)(in);
  for (int part = 0; part < 2; part++)
    for (ptrdiff_t u = 0; u < in->counts[part]; u++, scalars += 2)
      *h++ = (in->rows[part][u] - m.mean) * m.inverse * scalars[0] + scalars[1];
}

// ∂ of both parts of the input, and of gain and bias [units][2], from ∂h. A part's ∂ is added to what is there if `adds`.
static void NAME(layer_norm_backward)(const norm_input *in, const float *scalars, const float *dh, float *const dx[2],
                                      const int32_t adds[2], float *dscalars) {
  const moments m = NAME(moments_of)(in);
  const float units = (float)(in->counts[0] + in->counts[1]);
  float sum = 0, along = 0;
  ptrdiff_t unit = 0;
  for (int part = 0; part < 2; part++)
    for (ptrdiff_t u = 0; u < in->counts[part]; u++, unit++) {
      const float x = (in->rows[part][u] - m.mean) * m.inverse, d = dh[unit] * scalars[2 * unit];
      dscalars[2 * unit] = dh[unit] * x;
      dscalars[2 * unit + 1] = dh[unit];
      sum += d;
      along += d * x;
    }
  unit = 0;
  for (int part = 0; part < 2; part++)
    for (ptrdiff_t u = 0; u < in->counts[part]; u++, unit++) {
      const float x = (in->rows[part][u] - m.mean) * m.inverse, d = dh[unit] * scalars[2 * unit];
      const float value = m.inverse * (d - sum / units - x * (along / units));
      dx[part][u] = adds[part] ? dx[part][u] + value : value;
    }
}

void NAME(layer_norm_rows)(const lz_layer_norm_input *input, ptrdiff_t samples, float *h) {
  norm_input in = {{input->rows[0], input->rows[1]}, {input->counts[0], input->counts[1]}};
  for (; samples > 0; samples--, h += input->units) {
    NAME(layer_norm)(&in, input->scalars, h);
    for (int part = 0; part < 2; part++) in.rows[part] += input->strides[part];
  }
}

void NAME(layer_norm_rows_backward)(const lz_layer_norm_input *input, const float *dh, ptrdiff_t samples, float *dscalars,
                                    ptrdiff_t scalar_stride) {
  norm_input in = {{input->rows[0], input->rows[1]}, {input->counts[0], input->counts[1]}};
  float *dx[2] = {input->into[0], input->into[1]};
  for (; samples > 0; samples--, dh += input->units, dscalars += scalar_stride) {
    NAME(layer_norm_backward)(&in, input->scalars, dh, dx, input->adds, dscalars);
    for (int part = 0; part < 2; part++) in.rows[part] += input->strides[part], dx[part] += input->strides[part];
  }
}
