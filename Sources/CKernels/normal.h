// Standard normal entries of directions, for one vector width, by Box and Muller from words of Philox; and their sums.
// Included by the files of one vector width, behind draw.h.
//
// Of the 16 words of an entry's four counters the first eight make radii √(−2 log u), the others angles: lane i and lane i + 8 of
// an entry are r·cos and r·sin. u has 23 bits: no entry is further out than √(48 log 2) = 5.77.

// Radii and angles to r·cos and r·sin.
INLINE void NAME(box_muller)(const uint32_t *radii, const uint32_t *angles, float *cosines, float *sines) {
  vu radius, angle;
  memcpy(&radius, radii, sizeof radius);
  memcpy(&angle, angles, sizeof angle);
  // Odd multiples of 2⁻²⁴: exact, and never 0.
  const vf u = __builtin_convertvector((vi)(radius >> 9), vf) * splat(0x1p-23f) + splat(0x1p-24f);
  const vf r = __builtin_elementwise_sqrt(splat(-2.0f) * log_positive(u));
  // A quadrant, and an angle in it from −π/4 to π/4.
  const vf part = __builtin_convertvector((vi)(angle >> 7 & 0x7fffff), vf) * splat(0x1p-23f) + splat(0x1p-24f - 0.5f);
  const vf x = part * splat(1.57079633f), z = x * x;
  vf sine = splat(2.75573192e-6f);
  sine = sine * z + splat(-1.98412698e-4f);
  sine = sine * z + splat(8.33333333e-3f);
  sine = sine * z + splat(-1.66666667e-1f);
  sine = sine * z * x + x;
  vf cosine = splat(2.48015873e-5f);
  cosine = cosine * z + splat(-1.38888889e-3f);
  cosine = cosine * z + splat(4.16666667e-2f);
  cosine = cosine * z + splat(-0.5f);
  cosine = cosine * z + splat(1.0f);
  const vu quadrant = angle >> 30;
  const vi turned = (vi)((quadrant & 1) != 0);
  const vu c = turned ? __builtin_bit_cast(vu, sine) : __builtin_bit_cast(vu, cosine);
  const vu s = turned ? __builtin_bit_cast(vu, cosine) : __builtin_bit_cast(vu, sine);
  const vf signed_c = __builtin_bit_cast(vf, c ^ ((quadrant + 1) & 2) << 30);
  const vf signed_s = __builtin_bit_cast(vf, s ^ (quadrant & 2) << 30);
  const vf a = r * signed_c, b = r * signed_s;
  memcpy(cosines, &a, sizeof a);
  memcpy(sines, &b, sizeof b);
}

// Entries first and first + 1, [2][16].
INLINE void NAME(two_entries)(const lz_philox *p, uint32_t first, float *out) {
  uint32_t drawn[32], radii[16], angles[16];
  for (uint32_t i = 0; i < 8; i += VL / 2) {
    uint16_t words[4 * VL];
    NAME(draw_counters)(p, 4 * first + i, words);
    memcpy(drawn + 4 * i, words, sizeof words);
  }
  for (int entry = 0; entry < 2; entry++) {
    memcpy(radii + 8 * entry, drawn + 16 * entry, 32);
    memcpy(angles + 8 * entry, drawn + 16 * entry + 8, 32);
  }
  float cosines[16], sines[16];
  for (int i = 0; i < 16; i += VL) NAME(box_muller)(radii + i, angles + i, cosines + i, sines + i);
  for (int entry = 0; entry < 2; entry++) {
    memcpy(out + 16 * entry, cosines + 8 * entry, 32);
    memcpy(out + 16 * entry + 8, sines + 8 * entry, 32);
  }
}

// Entries first ..< first + count of one tensor, [count][16].
static void NAME(draw_entries)(const lz_philox *p, ptrdiff_t first, ptrdiff_t count, float *out) {
  ptrdiff_t i = 0;
  for (; i + 2 <= count; i += 2) NAME(two_entries)(p, (uint32_t)(first + i), out + i * LZ_LANES);
  if (i == count) return;
  float last[2 * LZ_LANES];
  NAME(two_entries)(p, (uint32_t)(first + i), last);
  memcpy(out + i * LZ_LANES, last, sizeof(float) * LZ_LANES);
}

#define DRAWN_ENTRIES 64

void NAME(sum_normals)(const uint16_t *names, ptrdiff_t tile_stride, ptrdiff_t tiles, int32_t tensor, ptrdiff_t first,
                       ptrdiff_t count, const float *coefficients, float *out) {
  float z[DRAWN_ENTRIES * LZ_LANES] __attribute__((aligned(64)));
  for (ptrdiff_t done = 0; done < count; done += DRAWN_ENTRIES) {
    const ptrdiff_t part = count - done < DRAWN_ENTRIES ? count - done : DRAWN_ENTRIES;
    memset(out + done, 0, sizeof(float) * (size_t)part);
    for (ptrdiff_t t = 0; t < tiles; t++) {
      const lz_philox philox = lz_named(names + t * tile_stride, tensor);
      NAME(draw_entries)(&philox, first + done, part, z);
      for (ptrdiff_t i = 0; i < part; i++) {
        float total = 0;
        for (int lane = 0; lane < LZ_LANES; lane++) total += coefficients[t * LZ_LANES + lane] * z[i * LZ_LANES + lane];
        out[done + i] += total;
      }
    }
  }
}

void NAME(sum_normal_row)(const lz_layout *l, const uint16_t *names, ptrdiff_t tile_stride, ptrdiff_t tiles, uint32_t token,
                          const float *coefficients, float *out) {
  float z[DRAWN_ENTRIES * LZ_LANES] __attribute__((aligned(64))), total[DRAWN_ENTRIES * LZ_LANES] __attribute__((aligned(64)));
  const ptrdiff_t groups = l->gate_stride / LZ_LANES;
  memset(out, 0, sizeof(float) * (size_t)l->gate_stride);
  for (ptrdiff_t t = 0; t < tiles; t++) {
    const lz_philox philox = lz_named(names + t * tile_stride, 0);
    for (ptrdiff_t done = 0; done < groups; done += DRAWN_ENTRIES) {
      const ptrdiff_t part = groups - done < DRAWN_ENTRIES ? groups - done : DRAWN_ENTRIES;
      memset(total, 0, sizeof total);
      for (int p = 0; p < LZ_LANES; p++) {
        const float coefficient = coefficients[t * LZ_LANES + p];
        if (coefficient == 0) continue;
        NAME(draw_entries)(&philox, ((ptrdiff_t)token * LZ_LANES + p) * groups + done, part, z);
        for (ptrdiff_t i = 0; i < part * LZ_LANES; i += VL) store(total + i, load(total + i) + splat(coefficient) * load(z + i));
      }
      float *to = out + done * LZ_LANES;
      for (ptrdiff_t i = 0; i < part * LZ_LANES; i += VL) store(to + i, load(to + i) + load(total + i));
    }
  }
}
#undef DRAWN_ENTRIES
