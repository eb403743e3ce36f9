// Elman's network with a rectifier, torch.nn.RNN's nonlinearity "relu". One row, one state: h = max(a, 0).

#ifdef LZ_REFERENCE_CELLS

static void relu_reference(const ref *a, ref aside, const ref *before, ref *after) {
  after[0] = ref_most(a[0], 0);
  (void)aside, (void)before;
}

#else

INLINE void relu_step(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside, (void)before;
  after[0] = at_least(a[0], splat(0));
}

#define relu_forward relu_step

INLINE void relu_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  (void)aside, (void)before;
  after[0].v = at_least(a[0].v, splat(0));
  after[0].d = a[0].v > splat(0) ? a[0].d : splat(0);
}

INLINE void relu_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  relu_step(a, aside, before, after);
  kept[0] = after[0];
}

INLINE void relu_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)before, (void)after, (void)dbefore;
  da[0] = kept[0] > splat(0) ? d[0] : splat(0);
}

#endif
