// The sLSTM of xLSTM (Beck et al. 2024, arXiv 2405.04517) in FlashRNN's form (arXiv 2412.07752). Rows i f z o; states h c n m.
//
// m = max(i, log σ(f) + m⁻), and i where n⁻ = 0: a fresh state;  i' = e^(i − m),  f' = e^(log σ(f) + m⁻ − m)
// c = f'·c⁻ + i'·tanh z,  n = max(f'·n⁻ + i', 1),  h = σ(o)·c/n

#ifdef LZ_REFERENCE_CELLS

static void slstm_reference(const ref *a, ref aside, const ref *before, ref *after) {
  const ref kept = ref_log_sigmoid(a[1]) + before[3], m = creal(before[2]) == 0 ? a[0] : ref_most(a[0], kept);
  const ref i = ref_exp(a[0] - m), f = creal(before[2]) == 0 ? 0 : ref_exp(kept - m);
  const ref c = f * before[1] + i * ref_tanh(a[2]), n = ref_most(f * before[2] + i, 1);
  after[0] = ref_sigmoid(a[3]) * c / n;
  after[1] = c, after[2] = n, after[3] = m;
  (void)aside;
}

#else

INLINE vf log_sigmoid(vf x) {
  const vf zero = splat(0), negative = at_most(x, zero);
  return negative - log_positive(splat(1) + exp_negative(negative - at_least(x, zero)));
}

INLINE void slstm_step(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside;
  const vf one = splat(1), kept = log_sigmoid(a[1]) + before[3];
  const vf m = before[2] == splat(0) ? a[0] : at_least(kept, a[0]);
  const vf i = exp_negative(a[0] - m), f = exp_negative(at_most(kept - m, splat(0)));
  const ratio z = tanh_ratio(a[2]), o = sigmoid_ratio(a[3]);
  const vf c = f * before[1] + i * (z.p / z.q), n = at_least(f * before[2] + i, one);
  after[0] = (o.p * c) / (o.q * n);
  after[1] = c;
  after[2] = n;
  after[3] = m;
}

#define slstm_forward slstm_step

INLINE void slstm_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  (void)aside;
  const vf one = splat(1), zero = splat(0), kept = log_sigmoid(a[1].v) + before[3].v;
  const ratio rf = sigmoid_ratio(a[1].v);
  const vf dkept = (one - rf.p / rf.q) * a[1].d + before[3].d;
  const vi fresh = before[2].v == zero, first = fresh | (kept <= a[0].v);
  after[3].v = first ? a[0].v : kept;
  after[3].d = first ? a[0].d : dkept;
  const vf i = exp_negative(a[0].v - after[3].v), f = exp_negative(at_most(kept - after[3].v, zero));
  const vf di = i * (a[0].d - after[3].d), df = f * (dkept - after[3].d);
  const ratio rz = tanh_ratio(a[2].v), ro = sigmoid_ratio(a[3].v);
  const vf z = rz.p / rz.q, o = ro.p / ro.q, dz = (one - z * z) * a[2].d, dof = o * (one - o) * a[3].d;
  after[1].v = f * before[1].v + i * z;
  after[1].d = (f * before[1].d + df * before[1].v) + (di * z + i * dz);
  const vf n = f * before[2].v + i, dn = (f * before[2].d + df * before[2].v) + di;
  after[2].v = at_least(n, one);
  after[2].d = n > one ? dn : zero;
  const vf by = one / after[2].v;
  after[0].v = o * after[1].v * by;
  after[0].d = (dof * after[1].v + o * after[1].d) * by - after[0].v * after[2].d * by;
}

// Keeps the rows as they are.
INLINE void slstm_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  slstm_step(a, aside, before, after);
  for (int row = 0; row < 4; row++) kept[row] = a[row];
}

INLINE void slstm_backward(const vf *a, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  const vf one = splat(1), zero = splat(0), kept = log_sigmoid(a[1]) + before[3];
  const vi first = (before[2] == zero) | (kept <= a[0]);
  const vf i = exp_negative(a[0] - after[3]), f = exp_negative(at_most(kept - after[3], zero));
  const ratio ro = sigmoid_ratio(a[3]), rf = sigmoid_ratio(a[1]);
  const vf t = tanh_value(a[2]), o = ro.p / ro.q, by = one / after[2];
  const vf dc = d[1] + d[0] * o * by, dn = f * before[2] + i > one ? d[2] - d[0] * after[0] * by : zero;
  const vf di = (dc * t + dn) * i, df = (dc * before[1] + dn * before[2]) * f, dm = d[3] - di - df;
  const vf dkept = first ? df : df + dm;
  da[0] = first ? di + dm : di;
  da[1] = dkept * (one - rf.p / rf.q);
  da[2] = dc * i * (one - t * t);
  da[3] = d[0] * after[1] * by * o * (one - o);
  dbefore[1] = dc * f;
  dbefore[2] = dn * f;
  dbefore[3] = dkept;
}

#endif
