// The gated recurrent unit (Cho et al. 2014) as torch.nn.GRU has it: the reset gate multiplies the product with the own state, so the
// last row is late. Rows r z n; one state.
//
// n = tanh(aside + σ(r)·a_n),  h = (1 − σ(z))·n + σ(z)·h⁻, where aside is what comes from below and a_n the own state's product.

#ifdef LZ_REFERENCE_CELLS

static void gru_reference(const ref *a, ref aside, const ref *before, ref *after) {
  const ref z = ref_sigmoid(a[1]), n = ref_tanh(aside + ref_sigmoid(a[0]) * a[2]);
  after[0] = (1 - z) * n + z * before[0];
}

#else

INLINE void gru_step(const vf *a, vf aside, const vf *before, vf *after) {
  const ratio r = sigmoid_ratio(a[0]), z = sigmoid_ratio(a[1]);
  const ratio n = tanh_ratio(aside + (r.p / r.q) * a[2]);
  after[0] = (n.p * (z.q - z.p) + (z.p * before[0]) * n.q) / (n.q * z.q);
}

#define gru_forward gru_step

INLINE void gru_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  const vf one = splat(1);
  const ratio rr = sigmoid_ratio(a[0].v), rz = sigmoid_ratio(a[1].v);
  const vf r = rr.p / rr.q, z = rz.p / rz.q;
  const ratio rn = tanh_ratio(aside.v + r * a[2].v);
  const vf n = rn.p / rn.q;
  const vf dr = r * (one - r) * a[0].d, dz = z * (one - z) * a[1].d;
  const vf dn = (one - n * n) * (aside.d + (dr * a[2].v + r * a[2].d));
  after[0].v = n + z * (before[0].v - n);
  after[0].d = (one - z) * dn + (z * before[0].d + dz * (before[0].v - n));
}

// Keeps σ(r) σ(z) n a_n.
INLINE void gru_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  const ratio r = sigmoid_ratio(a[0]), z = sigmoid_ratio(a[1]);
  kept[0] = r.p / r.q;
  kept[1] = z.p / z.q;
  kept[2] = tanh_value(aside + kept[0] * a[2]);
  kept[3] = a[2];
  after[0] = kept[2] + kept[1] * (before[0] - kept[2]);
}

// After the rows' derivatives comes that of a_n.
INLINE void gru_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  (void)after;
  const vf one = splat(1), r = kept[0], z = kept[1], n = kept[2];
  const vf dn = d[0] * (one - z) * (one - n * n);
  da[0] = dn * kept[3] * r * (one - r);
  da[1] = d[0] * (before[0] - n) * z * (one - z);
  da[2] = dn;
  da[3] = dn * r;
  dbefore[0] = d[0] * z;
}

#endif
