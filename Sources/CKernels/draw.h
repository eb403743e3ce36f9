// Words of random signs, for one vector width: Philox 4×32-10 over VL / 2 counters at a time.
//
// Every 32-bit word of a counter has a lane of 64 bits, whose upper half is never looked at: a product needs no shuffling.

typedef uint64_t NAME(wide) __attribute__((vector_size(4 * VL)));
#define LZ_DRAWN (VL / 2) // counters beside each other

INLINE NAME(wide) NAME(times)(NAME(wide) x, uint32_t factor) { return (x & 0xffffffffu) * factor; }

// The words of counters first ..< first + VL / 2, in the order in which they are used.
INLINE void NAME(draw_counters)(const lz_philox *p, uint32_t first, uint16_t *words) {
  NAME(wide) c0, c1, c2, c3;
  for (int i = 0; i < LZ_DRAWN; i++) {
    c0[i] = (uint32_t)(first + (uint32_t)i);
    c1[i] = p->counter[0], c2[i] = p->counter[1], c3[i] = p->counter[2];
  }
  uint32_t k0 = p->key[0], k1 = p->key[1];
  #pragma clang loop unroll(full)
  for (int round = 0; round < 10; round++) {
    const NAME(wide) a = NAME(times)(c0, 0xD2511F53u), b = NAME(times)(c2, 0xCD9E8D57u);
    c0 = (b >> 32) ^ c1 ^ k0;
    c2 = (a >> 32) ^ c3 ^ k1;
    c1 = b;
    c3 = a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const NAME(wide) low = (c0 & 0xffffffffu) | c1 << 32, high = (c2 & 0xffffffffu) | c3 << 32;
  uint64_t out[2 * LZ_DRAWN];
  for (int i = 0; i < LZ_DRAWN; i++) out[2 * i] = low[i], out[2 * i + 1] = high[i];
  memcpy(words, out, sizeof out);
}

void NAME(draw_signs)(const lz_philox *p, ptrdiff_t count, uint16_t *words) {
  const ptrdiff_t each = 8 * LZ_DRAWN;
  ptrdiff_t done = 0;
  for (; done + each <= count; done += each) NAME(draw_counters)(p, (uint32_t)(done / 8), words + done);
  if (done == count) return;
  uint16_t rest[8 * LZ_DRAWN];
  NAME(draw_counters)(p, (uint32_t)(done / 8), rest);
  memcpy(words + done, rest, sizeof(uint16_t) * (size_t)(count - done));
}
#undef LZ_DRAWN
