// An output gate: h = σ(a)·c, where c, the aside, is h of the stage before.

#ifdef LZ_REFERENCE_CELLS

static void opening_reference(const ref *a, ref c, const ref *before, ref *after) {
  after[0] = ref_sigmoid(a[0]) * c;
  (void)before;
}

#else

INLINE void opening_step(const vf *a, vf c, const vf *before, vf *after) {
  (void)before;
  const ratio s = sigmoid_ratio(a[0]);
  after[0] = c * (s.p / s.q);
}

#define opening_forward opening_step

INLINE void opening_tangent(const dual *a, dual c, const dual *before, dual *after) {
  (void)before;
  const ratio r = sigmoid_ratio(a[0].v);
  const vf s = r.p / r.q;
  after[0].v = c.v * s;
  after[0].d = c.d * s + c.v * (s * (splat(1) - s)) * a[0].d;
}

// Keeps σ(a).
INLINE void opening_activate(const vf *a, vf c, const vf *before, vf *after, vf *kept) {
  (void)before;
  const ratio s = sigmoid_ratio(a[0]);
  kept[0] = s.p / s.q;
  after[0] = c * kept[0];
}

// c is kept after the row; after the row's derivative comes that of c.
INLINE void opening_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)before, (void)after, (void)dbefore;
  const vf s = kept[0];
  da[0] = d[0] * kept[1] * (s * (splat(1) - s));
  da[1] = d[0] * s;
}

#endif
