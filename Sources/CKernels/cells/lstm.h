// Long short-term memory with forget gates (Hochreiter and Schmidhuber 1997; Gers et al. 2000). Rows i f g o; states h c.
//
// c = σ(f)·c⁻ + σ(i)·tanh g,  h = σ(o)·tanh c

#ifdef LZ_REFERENCE_CELLS

static void lstm_reference(const ref *a, ref aside, const ref *before, ref *after) {
  const ref c = ref_sigmoid(a[1]) * before[1] + ref_sigmoid(a[0]) * ref_tanh(a[2]);
  after[0] = ref_sigmoid(a[3]) * ref_tanh(c);
  after[1] = c;
  (void)aside;
}

#else

// Three divisions' work with two: the denominators lie in 1 … 420.
INLINE void lstm_step(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside;
  const ratio i = twice_sigmoid_ratio(a[0]), f = twice_sigmoid_ratio(a[1]);
  const ratio g = scaled_tanh_ratio(a[2], 1, 2);
  const vf ig = i.q * g.q;
  const vf next = ((f.p * before[1]) * (0.5f * ig) + (i.p * g.p) * f.q) / (ig * f.q);
  const ratio o = twice_sigmoid_ratio(a[3]), t = scaled_tanh_ratio(next, 1, 2);
  after[0] = (o.p * t.p) / (o.q * t.q);
  after[1] = next;
}

INLINE void lstm_forward(const vf *a, vf aside, const vf *before, vf *after) {
  (void)aside;
  const ratio i = sigmoid_ratio(a[0]), f = sigmoid_ratio(a[1]), g = tanh_ratio(a[2]), o = sigmoid_ratio(a[3]);
  after[1] = (f.p / f.q) * before[1] + (i.p * g.p) / (i.q * g.q);
  const ratio t = tanh_ratio(after[1]);
  after[0] = (o.p * t.p) / (o.q * t.q);
}

INLINE void lstm_tangent(const dual *a, dual aside, const dual *before, dual *after) {
  (void)aside;
  const ratio ri = sigmoid_ratio(a[0].v), rf = sigmoid_ratio(a[1].v), rg = tanh_ratio(a[2].v), ro = sigmoid_ratio(a[3].v);
  const vf one = splat(1);
  const vf i = ri.p / ri.q, f = rf.p / rf.q, g = rg.p / rg.q, o = ro.p / ro.q;
  const vf di = i * (one - i) * a[0].d, df = f * (one - f) * a[1].d;
  const vf dg = (one - g * g) * a[2].d, dof = o * (one - o) * a[3].d;
  after[1].v = f * before[1].v + i * g;
  after[1].d = (f * before[1].d + df * before[1].v) + (di * g + i * dg);
  const ratio rt = tanh_ratio(after[1].v);
  const vf t = rt.p / rt.q;
  after[0].v = o * t;
  after[0].d = dof * t + o * ((one - t * t) * after[1].d);
}

// One division for four gates: the denominators lie in 1 … 420, so their product is far from overflow. Keeps σ(i) σ(f) tanh(g) σ(o).
INLINE void lstm_activate(const vf *a, vf aside, const vf *before, vf *after, vf *kept) {
  (void)aside;
  const ratio i = sigmoid_ratio(a[0]), f = sigmoid_ratio(a[1]), g = tanh_ratio(a[2]), o = sigmoid_ratio(a[3]);
  const vf first = i.q * f.q, second = g.q * o.q;
  const vf inverse = splat(1) / (first * second);
  const vf by_first = inverse * second, by_second = inverse * first;
  kept[0] = i.p * (by_first * f.q);
  kept[1] = f.p * (by_first * i.q);
  kept[2] = g.p * (by_second * o.q);
  kept[3] = o.p * (by_second * g.q);
  after[1] = kept[1] * before[1] + kept[0] * kept[2];
  after[0] = kept[3] * tanh_value(after[1]);
}

INLINE void lstm_backward(const vf *kept, const vf *before, const vf *after, const vf *d, vf *da, vf *dbefore) {
  const vf one = splat(1), i = kept[0], f = kept[1], g = kept[2], o = kept[3], squashed = tanh_value(after[1]);
  const vf dc = d[1] + d[0] * o * (one - squashed * squashed);
  da[0] = dc * g * i * (one - i);
  da[1] = dc * before[1] * f * (one - f);
  da[2] = dc * i * (one - g * g);
  da[3] = d[0] * squashed * o * (one - o);
  dbefore[1] = dc * f;
}

#endif
