// The real-gated linear recurrent unit of Griffin (De et al. 2024, arXiv 2402.19427). Rows r i; one state; the aside is the input x, unit
// by unit; the scalar is Λ, from which a unit's longest memory follows.
//
// y = 8·σ(r)·log σ(Λ),  h = e^y·h⁻ + √(1 − e^2y + 10⁻¹²)·σ(i)·x. The last number keeps the root's slope finite where a unit is shut.

#ifdef LZ_REFERENCE_CELLS

static void rglru_reference(const ref *a, ref x, const ref *before, ref *after) {
  const ref y = 8 * ref_sigmoid(a[0]) * ref_log_sigmoid(a[2]);
  after[0] = ref_exp(y) * before[0] + ref_sqrt(ref_below_one(2 * y) + 1e-12) * ref_sigmoid(a[1]) * x;
}

#else

// σ(x) with as many digits where it is nearly 0: what a unit admits while it is shut goes with the root of it.
INLINE vf long_sigmoid(vf x) {
  const vf zero = splat(0), one = splat(1), q = exp_negative(at_most(x, zero) - at_least(x, zero));
  return (x < zero ? q : one) / (one + q);
}

// log σ(Λ), likewise: −log(1 + q) by the series of 2·artanh(q/(2 + q)), which begins with at most ⅓.
INLINE vf long_log_sigmoid(vf x) {
  const vf negative = at_most(x, splat(0)), q = exp_negative(negative - at_least(x, splat(0)));
  const vf w = q / (splat(2) + q), s = w * w;
  vf sum = splat(1.0f / 15);
  for (int n = 13; n > 0; n -= 2) sum = sum * s + splat(1.0f / (float)n);
  return negative - splat(2) * w * sum;
}

typedef struct { vf r, i, log, keep, admit; } rglru_gates; // σ(r), σ(i), log σ(Λ), e^y, the root

INLINE rglru_gates rglru_from(vf r, vf i, vf lambda) {
  rglru_gates g = {.r = r, .i = i, .log = long_log_sigmoid(lambda)};
  const vf y = splat(8) * r * g.log;
  g.keep = exp_negative(y);
  // 1 − e^2y = 2t/(1 + t) with t = tanh(−y)
  const ratio t = tanh_ratio(-y);
  g.admit = __builtin_elementwise_sqrt(splat(2) * t.p / (t.q + t.p) + splat(1e-12f));
  return g;
}

INLINE rglru_gates rglru_of(vf r, vf i, vf lambda) {
  const ratio s = sigmoid_ratio(i);
  return rglru_from(long_sigmoid(r), s.p / s.q, lambda);
}

INLINE void rglru_step(const vf *a, vf x, const vf *before, vf *after) {
  const rglru_gates g = rglru_of(a[0], a[1], a[2]);
  after[0] = g.keep * before[0] + g.admit * (g.i * x);
}

#define rglru_forward rglru_step

INLINE void rglru_tangent(const dual *a, dual x, const dual *before, dual *after) {
  const rglru_gates g = rglru_of(a[0].v, a[1].v, a[2].v);
  const vf one = splat(1), dr = g.r * (one - g.r) * a[0].d, di = g.i * (one - g.i) * a[1].d;
  const vf dy = splat(8) * (dr * g.log + g.r * long_sigmoid(-a[2].v) * a[2].d);
  const vf dkeep = g.keep * dy, dadmit = -g.keep * dkeep / g.admit;
  after[0].v = g.keep * before[0].v + g.admit * (g.i * x.v);
  after[0].d = (g.keep * before[0].d + dkeep * before[0].v) + (dadmit * (g.i * x.v) + g.admit * (di * x.v + g.i * x.d));
}

// Keeps σ(r) and σ(i).
INLINE void rglru_activate(const vf *a, vf x, const vf *before, vf *after, vf *kept) {
  const rglru_gates g = rglru_of(a[0], a[1], a[2]);
  kept[0] = g.r;
  kept[1] = g.i;
  after[0] = g.keep * before[0] + g.admit * (g.i * x);
}

// x and Λ are kept after the rows; after the rows' derivatives come theirs.
INLINE void rglru_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)after;
  const rglru_gates g = rglru_from(kept[0], kept[1], kept[3]);
  const vf one = splat(1), x = kept[2], admitted = d[0] * g.admit;
  const vf dy = d[0] * g.keep * (before[0] - g.keep / g.admit * (g.i * x));
  da[0] = splat(8) * dy * g.log * (g.r * (one - g.r));
  da[1] = admitted * x * (g.i * (one - g.i));
  da[2] = admitted * g.i;
  da[3] = splat(8) * dy * g.r * long_sigmoid(-kept[3]);
  dbefore[0] = d[0] * g.keep;
}

#endif
