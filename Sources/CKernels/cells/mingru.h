// The minimal gated recurrent unit (Feng et al. 2024, arXiv 2410.01201): gates and candidates see the input alone, so that no product
// waits for the token before. Rows z v; one state, h = (1 − σ(z))·h⁻ + σ(z)·v.

#ifdef LZ_REFERENCE_CELLS

static void mingru_reference(const ref *a, ref aside, const ref *before, ref *after) {
  const ref z = ref_sigmoid(a[0]);
  after[0] = (1 - z) * before[0] + z * a[1];
  (void)aside;
}

#else

INLINE void mingru_step(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside;
  const ratio z = sigmoid_ratio(a[0]);
  after[0] = before[0] + (z.p / z.q) * (a[1] - before[0]);
}

#define mingru_forward mingru_step

INLINE void mingru_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  (void)aside;
  const ratio r = sigmoid_ratio(a[0].v);
  const vf z = r.p / r.q, apart = a[1].v - before[0].v;
  after[0].v = before[0].v + z * apart;
  after[0].d = before[0].d + z * (a[1].d - before[0].d) + (z * (splat(1) - z) * a[0].d) * apart;
}

// Keeps σ(z) and v.
INLINE void mingru_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  (void)aside;
  const ratio z = sigmoid_ratio(a[0]);
  kept[0] = z.p / z.q;
  kept[1] = a[1];
  after[0] = before[0] + kept[0] * (a[1] - before[0]);
}

INLINE void mingru_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)after;
  const vf z = kept[0];
  da[0] = d[0] * (kept[1] - before[0]) * (z * (splat(1) - z));
  da[1] = d[0] * z;
  dbefore[0] = d[0] * (splat(1) - z);
}

#endif
