// Elman's network (1990), as torch.nn.RNN has it. One row, one state: h = tanh a.

#ifdef LZ_REFERENCE_CELLS

static void elman_reference(const ref *a, ref aside, const ref *before, ref *after) {
  after[0] = ref_tanh(a[0]);
  (void)aside, (void)before;
}

#else

INLINE void elman_step(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside, (void)before;
  const ratio t = tanh_ratio(a[0]);
  after[0] = t.p / t.q;
}

#define elman_forward elman_step

INLINE void elman_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  (void)aside, (void)before;
  const ratio t = tanh_ratio(a[0].v);
  after[0].v = t.p / t.q;
  after[0].d = (splat(1) - after[0].v * after[0].v) * a[0].d;
}

INLINE void elman_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  elman_step(a, aside, before, after);
  kept[0] = after[0];
}

INLINE void elman_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)before, (void)after, (void)dbefore;
  da[0] = d[0] * (splat(1) - kept[0] * kept[0]);
}

#endif
