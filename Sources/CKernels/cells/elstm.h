// The element-wise LSTM (Irie et al. 2024, arXiv 2305.19044), whose gates see their own unit's past alone. Rows z f; one state c, which is
// h here: the output gate is the stage after it, see opening.h. The scalars are w_z and w_f.
//
// z' = tanh(z + w_z·c⁻),  f' = σ(f + w_f·c⁻),  c = f'·c⁻ + (1 − f')·z'

#ifdef LZ_REFERENCE_CELLS

static void elstm_reference(const ref *a, ref aside, const ref *before, ref *after) {
  const ref z = ref_tanh(a[0] + a[2] * before[0]), f = ref_sigmoid(a[1] + a[3] * before[0]);
  after[0] = f * before[0] + (1 - f) * z;
  (void)aside;
}

#else

typedef struct { vf z, f; } elstm_gates;

INLINE elstm_gates elstm_of(const vf *a, vf before) {
  const ratio f = sigmoid_ratio(a[1] + a[3] * before);
  return (elstm_gates){tanh_value(a[0] + a[2] * before), f.p / f.q};
}

INLINE void elstm_step(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside;
  const elstm_gates g = elstm_of(a, before[0]);
  after[0] = g.z + g.f * (before[0] - g.z);
}

#define elstm_forward elstm_step

INLINE void elstm_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  (void)aside;
  const dual c = before[0];
  const vf one = splat(1), values[4] = {a[0].v, a[1].v, a[2].v, a[3].v};
  const elstm_gates g = elstm_of(values, c.v);
  const vf dz = (one - g.z * g.z) * (a[0].d + (a[2].d * c.v + a[2].v * c.d));
  const vf df = g.f * (one - g.f) * (a[1].d + (a[3].d * c.v + a[3].v * c.d));
  after[0].v = g.z + g.f * (c.v - g.z);
  after[0].d = (one - g.f) * dz + (g.f * c.d + df * (c.v - g.z));
}

// Keeps z' and f'.
INLINE void elstm_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  (void)aside;
  const elstm_gates g = elstm_of(a, before[0]);
  kept[0] = g.z;
  kept[1] = g.f;
  after[0] = g.z + g.f * (before[0] - g.z);
}

// The scalars are kept after the rows; after the rows' derivatives come theirs.
INLINE void elstm_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)after;
  const vf one = splat(1), z = kept[0], f = kept[1], c = before[0];
  da[0] = d[0] * (one - f) * (one - z * z);
  da[1] = d[0] * (c - z) * (f * (one - f));
  da[2] = da[0] * c;
  da[3] = da[1] * c;
  dbefore[0] = d[0] * f + (da[0] * kept[2] + da[1] * kept[3]);
}

#endif
