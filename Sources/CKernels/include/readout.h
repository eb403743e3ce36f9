// The exact readout of large vocabularies: no array of (p − y) for all pairs and ids.
//
// A tile's kernel leaves h of every token (lz_chunk.hidden). What is made of it takes two passes over the readout, strip by strip of
// its rows: the first gives the losses, and for each column what makes powers of logits probabilities; the second has the logits of a
// strip again, its p − y for all samples, and the product of that with h. Every number is computed as lz_run_chunk would, and has the
// same bits.
#ifndef CKERNELS_READOUT_H
#define CKERNELS_READOUT_H

#define LZ_STRIP 8    // blocks of rows that are worked on at a time: their weights and p − y stay in the caches
#define LZ_STRETCH 16 // strips from one note of the references to the next

// A sample is a token of a tile. They lie [tokens][token_tiles], `tokens` of each.
typedef struct {
  lz_plain plain;
  ptrdiff_t tokens, token_tiles;
  const float *hidden;     // [top][32]
  const uint32_t *targets; // [16]; marked where nobody has to predict them, or no pair is
  float *sums;             // [3][32] the first pass's: final references, 1/(2·sum), logits of the targets
  float *starts;           // [stretches][samples][32] the references that each stretch begins with; the samples of all tokens that there is room for
  ptrdiff_t stretch_step;  // floats from a stretch's references to those of the next
  float *input;            // [input_tile] mean h of the pairs, zeros where nothing is to be predicted
} lz_samples;

ptrdiff_t lz_strips(const lz_layout *layout);
// Floats of a strip's weights and biases and what else a pass works in, for so many samples.
ptrdiff_t lz_strip_scratch(const lz_layout *layout, ptrdiff_t samples);

// The first pass, of `count` tiles from `tile`, for the tokens from `token` on: adds to the losses [32] in nats of each tile.
void lz_read_samples(lz_instructions instructions, const lz_layout *layout, const lz_samples *samples, ptrdiff_t token,
                     ptrdiff_t tile, ptrdiff_t count, double *loss, float *scratch);

// The second: adds a strip's Σ (p − y)·hᵀ over `count` tiles from `tile` of all tokens to sum [LZ_STRIP · 12][input_panels · 32] and
// Σ (p − y) to bias [LZ_STRIP · 12][16], or begins them anew if `fresh`; one chain, as lz_readout_gradient's. `references`
// [samples][32] go from strip to strip; a stretch's first strip sets them.
void lz_strip_gradient(lz_instructions instructions, const lz_layout *layout, const lz_samples *samples, ptrdiff_t strip,
                       ptrdiff_t tile, ptrdiff_t count, int fresh, float *references, float *sum, float *bias, float *scratch);

#endif
