// The gate of a block: h = c·silu(a) with silu a = a·σ(a) (Hendrycks and Gimpel 2016), where c, the aside, is the cell's h.

#ifdef LZ_REFERENCE_CELLS

static void gating_reference(const ref *a, ref c, const ref *before, ref *after) {
  after[0] = c * a[0] * ref_sigmoid(a[0]);
  (void)before;
}

#else

INLINE void gating_step(const vf *a, vf c, const vf *before, vf *after) {
  (void)before;
  const ratio s = sigmoid_ratio(a[0]);
  after[0] = (c * a[0]) * (s.p / s.q);
}

#define gating_forward gating_step

INLINE void gating_tangent(const dual *a, dual c, const dual *before, dual *after) {
  (void)before;
  const ratio r = sigmoid_ratio(a[0].v);
  const vf s = r.p / r.q, silu = a[0].v * s, slope = s + silu * (splat(1) - s);
  after[0].v = c.v * silu;
  after[0].d = c.d * silu + (c.v * slope) * a[0].d;
}

INLINE void gating_activate(const vf *a, vf c, const vf *before, vf *after, vf *kept) {
  gating_step(a, c, before, after);
  kept[0] = a[0];
}

// c is kept after the row; after the row's derivative comes that of c.
INLINE void gating_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)before, (void)after, (void)dbefore;
  const ratio r = sigmoid_ratio(kept[0]);
  const vf s = r.p / r.q, silu = kept[0] * s;
  da[0] = d[0] * kept[1] * (s + silu * (splat(1) - s));
  da[1] = d[0] * silu;
}

#endif
