// The population step: many perturbed copies of one recurrent network advance together, token by token, as the columns of one matrix.
//
// Shape letters: V vocabulary, H units of a stage, N heads, D = H/N units of a head, P pairs, K tokens of a chunk.
//
// A model is a list of stages: at every token each computes the h of its units, from what earlier stages have computed at this
// token and from its own states. The first takes a token's row of the table, the readout reads the last.
//
// A tile is 16 pairs = 32 columns: row i of any state is 32 floats, first the 16 "+" columns, then the 16 "−" columns of
// the same pairs. Both columns of a pair read the same tokens.
//
// A cell has G rows a unit, called gate rows, S states, the first of which is h, and K scalars; see cells/cells.def. Gate rows are
// unit-major: row G·u + g is row g of unit u. A block of 12 gate rows is 12/G whole units, to a multiple of which units are padded;
// readout rows are padded to a multiple of 12. With heads it is the units of each head that are padded, so that a block belongs to
// one head; rows of states have no such gaps.
//
// Signs are 16-bit words: bit p is set where the direction of pair p of the tile is −1.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#define LZ_LANES 16   // pairs of a tile
#define LZ_COLUMNS 32 // columns of a tile
#define LZ_BLOCK 12   // packed rows of a block: 12/G whole units
#define LZ_PANEL 32 // units that lie together where the exact readout's gradient is summed
#define LZ_MAX_STAGES 84
#define LZ_MAX_RANK 64
#define LZ_MAX_ROWS 4
#define LZ_MAX_STATES 4
#define LZ_MAX_SCALARS 2

typedef enum {
  #define LZ_CELL(name, rows, states, scalars, past, aside) LZ_CELL_##name,
  #include "../cells/cells.def"
  #undef LZ_CELL
  // No cells, and no rows.
  LZ_NORM,       // the norm of the stage that it reads; see norm.h
  LZ_LAYER_NORM, // layer norm of the stage that it reads, or of two; see layer_norm.h
  LZ_MEMORY,     // written and read as the stage that it reads says; see memory.h
} lz_cell;

#define LZ_NORM_EPSILON 1e-6f

// A token is an id and a mark. A marked token is read like any other, but nobody has to predict it: as a target it has no
// loss and no gradient.
#define LZ_MARK 0x80000000u
#define LZ_ID 0x7fffffffu

// The logit of rows that pad the readout, and what a search for the largest logit begins with: no finite logit loses to it.
#define LZ_LOWEST (-3.40282347e38f)

// What a unit knows of the tokens before; see cells.def.
typedef enum { LZ_PRESENT = 0, LZ_UNIT = 1, LZ_HEAD = 2 } lz_past;

// What the extra input of a cell's functions, the aside, is.
typedef enum {
  LZ_NOTHING = 0,
  LZ_LATE = 1,   // the last row's product with what comes from below, to which that with the own state is not added; see cells.def
  LZ_OTHER = 2,  // h of the same unit of another stage
} lz_aside;

typedef struct {
  int32_t cell;         // an lz_cell
  int32_t units, heads; // H and N, which divides it
  int32_t slots;        // of a memory, each of D numbers; its h are its heads' reads
  int32_t below, second, other; // earlier stages: whose h its matrix reads at the same token, one after the other, and whose h is the
                                // aside; −1: none. A later stage's h is that of the token before
} lz_stage_shape;

typedef struct {
  int32_t vocabulary;
  int32_t stages;
  lz_stage_shape stage[LZ_MAX_STAGES]; // only the first has none below
  int32_t dense;          // 0: directions a·bᵀ, or sums of them; 1: a full-rank sign for every weight
  int32_t exact_readout;  // 1: the readout is not perturbed, and (p − y, h) of every token are handed out
  int32_t normal;         // 1: entries are standard normal, and drawn where they are used
  int32_t rank;           // of a direction that is not dense: Σ a·bᵀ/√rank over so many products, up to LZ_MAX_RANK; 0 is 1
  int32_t nodes;          // 1: no weight is moved; the input of every gate is, by a sign of its own at every token (s_bias). With exact_readout
  int32_t plain;          // 1: the table, the first stage's bias and the exact readout are read where the parameters lie (lz_plain); see readout.h
  int32_t empty_memory;   // 1: memories start at zero
  int32_t logits;         // nodes: 1: logits are moved as well (s_readout_bias), and what is handed out for p − y is estimated from losses
} lz_shape;

// Where a stage's parts lie: weights and signs in the arrays that lz_layout describes, states in rows of 32.
typedef struct {
  lz_stage_shape shape;
  ptrdiff_t rows, states, scalars; // G, S and K of the cell
  int32_t own, aside;       // whether its matrix reads the own state, of its own head; an lz_aside
  ptrdiff_t units;          // H
  ptrdiff_t padded;         // rows of h and of the other states: H rounded up to whole blocks
  ptrdiff_t block_units;    // 12 / G
  ptrdiff_t head;           // D
  ptrdiff_t head_blocks;    // gate blocks of a head: ⌈D / block_units⌉
  ptrdiff_t head_gates;     // gate rows of a head, 12 · head_blocks
  ptrdiff_t blocks;         // of all heads
  ptrdiff_t gates;          // gate rows of all heads
  ptrdiff_t scalar_count;   // of all units, padded like blocks: K · gates / G; unit-major, K·u + k
  ptrdiff_t below, second;  // H of the stages that its matrix reads, 0 for none
  ptrdiff_t inputs;         // columns of the matrix: those of below, of second, then D of the own head's state
  ptrdiff_t state;          // rows of a tile's state before the first of this stage: [S][padded], then a memory's [slots][D]
  ptrdiff_t memory;         // rows of the memory, or 0

  ptrdiff_t w_kernel;       // [blocks][inputs][12]
  ptrdiff_t w_bias;         // [gates]; unused for the first stage
  ptrdiff_t w_scalars;      // [scalar_count]
  ptrdiff_t s_kernel_row;    // rank-one: [gates]
  ptrdiff_t s_kernel_column; // rank-one: [N][inputs]; dense: [blocks][inputs][12]
  ptrdiff_t s_bias;          // [gates]
  ptrdiff_t s_scalars;       // [scalar_count]
  // Normal entries of one tile that a chunk holds, in entries of 16 pairs: in the order of the packed weights, without the table.
  ptrdiff_t z_kernel, z_bias, z_scalars;
} lz_stage;

// Where everything lies. Offsets count elements of their own array; made by lz_layout_make only.
typedef struct {
  lz_shape shape;
  lz_stage stage[LZ_MAX_STAGES];
  ptrdiff_t top;            // H of the last stage, which the readout reads
  ptrdiff_t gate_stride;    // row of the token table: gates of the first stage rounded up to 16
  ptrdiff_t head_gates;     // gate rows of a head, the most of any stage
  ptrdiff_t next, widest;   // floats of a head's next h, and columns of a matrix, likewise
  ptrdiff_t readout_blocks; // ⌈V / 12⌉

  // packed weights (float)
  ptrdiff_t w_table;                     // [V][gate_stride], the first stage's bias added in
  ptrdiff_t w_readout, w_readout_bias;   // [readout_blocks][top][12], [readout_blocks · 12] (padding: LZ_LOWEST)
  ptrdiff_t weights;                     // floats in all

  // signs of one tile (uint16_t); where directions are sums of products, the words of one product behind those of another
  ptrdiff_t s_table_row, s_table_column;               // rank-one: [V], [gate_stride]; dense: –, [V][gate_stride]
  ptrdiff_t s_readout_row, s_readout_column, s_readout_bias; // rank-one: [rows], [top]; dense: –, [blocks][top][12]; [rows], or [2][rows] for both columns' logits
  ptrdiff_t s_name;                                    // normal: the tile's draws, as lz_named reads it; there are no signs
  ptrdiff_t signs;                                     // words in all, a multiple of 32

  ptrdiff_t z_readout, z_readout_bias, entries;

  ptrdiff_t state;        // floats of one tile's state
  ptrdiff_t scratch;      // floats of one thread's scratch
  ptrdiff_t memory_scratch; // of which those from here on are a memory's
  // The exact readout, of one tile and token, in floats: p − y as [readout_blocks · 12][16], and h as
  // [input_panels][16][32 units], both means over the two columns of a pair.
  ptrdiff_t delta_tile, input_panels, input_tile;
} lz_layout;

void lz_layout_make(const lz_shape *shape, lz_layout *layout);

// What element `index` of a fresh memory is: within ±0.1, and another for each, as slots that are alike would stay so. The last steps of
// MurmurHash3.
static inline float lz_memory_start(uint32_t index) {
  uint32_t x = index;
  x = (x ^ x >> 16) * 0x85ebca6bu;
  x = (x ^ x >> 13) * 0xc2b2ae35u;
  x ^= x >> 16;
  return ((float)(x >> 8) * 0x1p-23f - 1) * 0.1f;
}

// States of `columns` columns (32 of a tile, 1 of a sequence) that no token has come to yet: zeros, and the start of memories.
void lz_fresh_states(const lz_layout *layout, ptrdiff_t columns, float *state);

// G, S, K, an lz_past and an lz_aside.
typedef struct { int32_t rows, states, scalars, past, aside; } lz_cell_sizes;
lz_cell_sizes lz_sizes_of(lz_cell cell);

typedef enum { LZ_REFERENCE = 0, LZ_PORTABLE = 1, LZ_AVX2 = 2, LZ_AVX512 = 3 } lz_instructions;

// 1 if this processor can run them.
int lz_supported(lz_instructions instructions);

// Where the mean states of a tile's pairs go, before the first token and behind every token, if the gates are what is moved:
// h of pair p in stage l after t tokens is at at + l·stage + t·token + p·row, units contiguous and padded with zeros to `row`,
// a multiple of 16.
typedef struct {
  float *at;
  ptrdiff_t stage, token, row;
} lz_means;

// Parameters where they lie, row by row in the model's order; what is read of them is not packed.
typedef struct {
  const float *table, *table_bias;     // [V][gates of the first stage], and what is added to each row
  const float *readout, *readout_bias; // [V][top], [V]
} lz_plain;

// One tile over one chunk of K tokens.
typedef struct {
  const float *weights;      // packed
  lz_plain plain;            // where the layout says so
  const uint16_t *signs;     // of this tile
  float epsilon;
  float *state;              // in and out
  const uint32_t *const *tokens; // [16] for each pair the K + 1 tokens that it reads (inputs 0..<K, targets 1...K)
  int64_t count;             // K
  double *loss;              // [32] the losses of the columns in nats, added to; null: only the states go on
  uint16_t *seen;            // [V] bit p is set once pair p has read the token; null if nobody asks
  int32_t valid;             // pairs of this tile that are real; the lanes beyond are padding
  float *delta;              // exact readout: token t's is at t · tile_step · delta_tile,
  float *input;              // and at t · tile_step · input_tile
  float *hidden;             // plain, in place of both: h of the last stage, [top][32], of token t at t · tile_step · top · 32; then `loss` is null
  ptrdiff_t tile_step;       // tiles of the whole population
  ptrdiff_t sign_step, loss_step; // nodes: from the signs and losses of a token to those of the next; else 0
  lz_means means;            // nodes only
} lz_chunk;

void lz_run_chunk(lz_instructions instructions, const lz_layout *layout, const lz_chunk *chunk, float *scratch);

// The same tile in forward mode: its "+" columns are the unperturbed model, its "−" columns the derivative of state and loss
// along the direction of their pair (ε plays no part). `loss` gets L in its "+" half and dL/dz in its "−" half; the exact
// readout's rows are those of the unperturbed model. Without a readout states alone advance.
void lz_run_tangent(lz_instructions instructions, const lz_layout *layout, const lz_chunk *chunk, int with_readout,
                    float *scratch);

// What the "−" columns of a tile are, where they are not the other sign of the "+" columns.
typedef struct {
  const uint16_t *signs;
  float epsilon; // 0: the unperturbed model
  uint16_t *seen; // as lz_chunk's, for these signs; may be null
} lz_second;

// The same tile with two sets of directions: its "+" columns are θ + εz, its "−" columns θ + ε'z'. The exact readout's rows are
// means over both. LZ_REFERENCE runs the portable kernel: what it computes is what lz_run_chunk's "+" columns do.
void lz_run_forward(lz_instructions instructions, const lz_layout *layout, const lz_chunk *chunk, const lz_second *second,
                    float *scratch);

// The same for all tiles of a population, head by head, for one stage with rank-one directions and a perturbed readout: see
// heads.h. First, for groups of heads in any order and on any threads, heads head ..< head + heads of all `count` tiles,
// whose chunks have the same number of tokens: `states` is room for [count][S][D][32] where states begin at zero and nobody
// asks for them again, null where the chunks have them; `logits` is the group's own part, [K][count] of lz_head_logits floats.
void lz_run_heads(lz_instructions instructions, const lz_layout *layout, const lz_chunk *tiles, ptrdiff_t count,
                  ptrdiff_t head, ptrdiff_t heads, float *states, float *logits, float *scratch);
ptrdiff_t lz_head_logits(const lz_layout *layout);

// Then, for each tile, its losses from the parts of all groups, [groups][K][count], which are used up.
void lz_read_heads(lz_instructions instructions, const lz_layout *layout, const lz_chunk *tiles, ptrdiff_t count,
                   ptrdiff_t tile, ptrdiff_t groups, float *logits);

// One unperturbed model over `count` tokens: adds the loss in nats of each target to `loss`, and carries
// the states, a row a number where a tile has 32. `losses`, if not null, receives each token's own loss, and `hits` 1 where the target is the first of
// the most probable ids; both are 0 for marked targets.
// `plain`: where the layout says so.
void lz_run_sequence(lz_instructions instructions, const lz_layout *layout, const float *weights, const lz_plain *plain,
                     float *state, const uint32_t *tokens, int64_t count, double *loss, float *losses, uint8_t *hits,
                     float *scratch);
ptrdiff_t lz_sequence_scratch(const lz_layout *layout); // floats

// The exact readout's gradient: adds Σ (p − y)·hᵀ over `tiles` tiles of each of `tokens` tokens to sum [readout_blocks · 12]
// [input_panels · 32] and Σ (p − y) to bias [readout_blocks · 12][16], or begins them anew if `fresh`; for `blocks` blocks of
// 12 rows from `block`. `delta` and `input` begin with the first of the tiles, and those of a token are `token_tiles` tiles
// after those of the one before. Every element is one chain in the order of tokens, tiles and pairs: any split of the tokens
// over calls, or of the blocks over threads, gives the same bits.
void lz_readout_gradient(lz_instructions instructions, const lz_layout *layout, const float *delta, const float *input,
                         ptrdiff_t tokens, ptrdiff_t tiles, ptrdiff_t token_tiles, ptrdiff_t block, ptrdiff_t blocks,
                         int fresh, float *sum, float *bias);

// One row of scale · the total of `groups` such sums of `rows` rows each, added up in their order: to [H] and its bias.
void lz_readout_total(lz_instructions instructions, const lz_layout *layout, const float *sums, const float *biases,
                      ptrdiff_t groups, ptrdiff_t rows, float scale, ptrdiff_t row, float *to, float *bias);

// Random signs: `count` words, eight of each counter (index, counter[0], counter[1], counter[2]) of Philox 4×32-10 (Salmon et
// al., SC 2011) with index = 0, 1, …; the low half of each 32-bit word comes first.
typedef struct {
  uint32_t key[2], counter[3];
} lz_philox;

// What the normal entries of a tile's direction are drawn from: its name is ten words, key and counter of Philox, low halves first. A
// tensor's number is added to the last word: 0 for the table, and for a stage's kernel, its bias, the readout and its bias
// lz_kernel_number …
#define LZ_NAME_WORDS 10
static inline lz_philox lz_named(const uint16_t *name, int32_t tensor) {
  uint32_t words[5];
  for (int i = 0; i < 5; i++) words[i] = (uint32_t)name[2 * i] | (uint32_t)name[2 * i + 1] << 16;
  return (lz_philox){.key = {words[0], words[1]}, .counter = {words[2], words[3], words[4] + (uint32_t)tensor}};
}
static inline int32_t lz_kernel_number(int32_t stage) { return 1 + 2 * stage; }
static inline int32_t lz_bias_number(int32_t stage) { return 2 + 2 * stage; }
static inline int32_t lz_readout_number(const lz_layout *l) { return lz_kernel_number(l->shape.stages); }
static inline int32_t lz_readout_bias_number(const lz_layout *l) { return lz_bias_number(l->shape.stages); }
static inline int32_t lz_scalars_number(const lz_layout *l, int32_t stage) { return lz_kernel_number(l->shape.stages + 1) + stage; }

// out[i] = Σ over the pairs of all tiles of coefficient · entry, for entries first ..< first + count of a tensor in the order of
// its packed weights; tile t's name is at names + t·tile_stride. `coefficients`: [tiles·16], aligned. Each tile has a total of
// its own, in the order of its pairs, and the totals are added up in the order of tiles; so in the sums below.
void lz_sum_normals(lz_instructions instructions, const uint16_t *names, ptrdiff_t tile_stride, ptrdiff_t tiles,
                    int32_t tensor, ptrdiff_t first, ptrdiff_t count, const float *coefficients, float *out);
// The same of a token's row of the table, [gate_stride], aligned. Its entries belong to one pair and 16 gate rows each: entry
// (token · 16 + pair) · gate_stride/16 + row/16.
void lz_sum_normal_row(lz_instructions instructions, const lz_layout *layout, const uint16_t *names, ptrdiff_t tile_stride,
                       ptrdiff_t tiles, uint32_t token, const float *coefficients, float *out);

void lz_draw_signs(lz_instructions instructions, const lz_philox *philox, ptrdiff_t count, uint16_t *words);

// Signs of one tile as floats: out[row · out_stride + p] = ±coefficients[p] for each of `rows` words, 0 where the bit of
// `seen` (one word a row) is not set. `coefficients` null: ±1; `seen` null: all. `coefficients` are 16 aligned floats.
void lz_expand_signs(lz_instructions instructions, const uint16_t *words, ptrdiff_t rows, const float *coefficients,
                     const uint16_t *seen, float *out, ptrdiff_t out_stride);

// out[i] = Σ over the pairs of all tiles of ±coefficient, for `count` words of each tile: tile t's words start at
// words + t·tile_stride. `coefficients`: [tiles·16], aligned.
void lz_sum_signs(lz_instructions instructions, const uint16_t *words, ptrdiff_t tile_stride, ptrdiff_t tiles,
                  ptrdiff_t count, const float *coefficients, float *out);

// For gates that are moved: out[p · stride + i] = ±coefficients[p] for `count` sign words i and the 16 pairs of a tile.
void lz_expand_nodes(lz_instructions instructions, const uint16_t *words, ptrdiff_t count, const float *coefficients, float *out,
                     ptrdiff_t stride);

// A block of 12 rows of `columns` weights, row by row, into the kernels' order [columns][12].
void lz_pack_rows(lz_instructions instructions, const float *from, ptrdiff_t columns, float *to);

// Optimizers over `count` parameters, anywhere in memory; see Estimator/Optimizers/Optimizer.swift for the formulas.
typedef struct {
  float rate, momentum, beta2, epsilon, correction1, correction2, decay;
} lz_optimizer;
void lz_sgd(lz_instructions instructions, const lz_optimizer *o, ptrdiff_t count, const float *gradient,
            float *velocity, float *parameters);
void lz_adam(lz_instructions instructions, const lz_optimizer *o, ptrdiff_t count, const float *gradient,
             float *mean, float *square, float *parameters);

// weights ← keep·weights − rate·gradient: the step of lz_sgd without momentum, where the weights lie.
void lz_descend(lz_instructions instructions, ptrdiff_t count, float rate, float keep, const float *gradient,
                float *weights);

// Runs `rounds` rounds of independent fused multiply-adds in registers and returns the floating point operations
// done: the machine's peak is that over the time it took.
double lz_fma_rounds(lz_instructions instructions, int64_t rounds);

#include "closure.h"
#include "readout.h"
#include "sweep.h"

#endif
