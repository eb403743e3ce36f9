// What a block adds to its input (He et al. 2016): h = x + a, where x, the aside, is the h that the block began with.

#ifdef LZ_REFERENCE_CELLS

static void residual_reference(const ref *a, ref x, const ref *before, ref *after) {
  after[0] = x + a[0];
  (void)before;
}

#else

INLINE void residual_step(const vf *a, vf x, const vf *before, vf *after) {
  (void)before;
  after[0] = x + a[0];
}

#define residual_forward residual_step

INLINE void residual_tangent(const dual *a, dual x, const dual *before, dual *after) {
  (void)before;
  after[0] = (dual){x.v + a[0].v, x.d + a[0].d};
}

INLINE void residual_activate(const vf *a, vf x, const vf *before, vf *after, vf *kept) {
  residual_step(a, x, before, after);
  kept[0] = a[0];
}

// After the row's derivative comes that of x.
INLINE void residual_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)kept, (void)before, (void)after, (void)dbefore;
  da[0] = d[0];
  da[1] = d[0];
}

#endif
