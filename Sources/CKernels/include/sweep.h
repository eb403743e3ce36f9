// The exact baseline: one model over many streams, forward through a stretch of tokens and backward again.
//
// Shape letters: B streams, H hidden size, U units = H rounded up to 16, V vocabulary, G rows and S states of a unit. Streams are rows, units lie side by
// side: state [B][U], gates [B][GU]. So any number of streams does without padding, a token's row of the table is read as
// it lies, and gradients come out of the products in the order of the parameters.
//
// A tape holds what the way back needs of some consecutive tokens ("slots"). Units of padding are 0 throughout.
// What is computed for a stream does not depend on which streams a call is given with it.
#ifndef CKERNELS_SWEEP_H
#define CKERNELS_SWEEP_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  ptrdiff_t inputs;      // columns of the packed matrix: H for the first, 2H (input, own state) above
  const float *bias;     // [GH]
  const float *late_bias; // [H] if the cell has a late row
  const float *forward;  // packed by lz_sweep_pack
  const float *backward; // likewise
  float *h;              // tape: [slots + 1][B][U], slot 0 is the state before
  float *others;         // tape: the S − 1 states after h, likewise
  ptrdiff_t others_step; // from one of them to the next
  float *gates;          // tape: [slots][B][GU]; after the way back ∂ of the gates' inputs, row Gu + g
  float *late;           // tape, if the cell has a late row: likewise, where that row is ∂ of its product with the own state
  float *input_adjoint;  // [B][U], above the first layer [B][2U]: ∂ of (state below,) own state before
  float *state_adjoint;  // [S − 1][B][U] ∂ of the states after h
  float *direct;         // [B][U], if the cell has a late row: room for ∂ of h before by other ways than the rows
} lz_sweep_layer;

typedef struct {
  ptrdiff_t hidden, units, streams, layers;
  int32_t cell;          // an lz_cell
  int32_t prepared;      // 1: the gates hold what the rows have from below; then there is no table, and the matrix is the own state's
  const float *table;    // [V][GH]
  const lz_sweep_layer *layer;
} lz_sweep;

// Vector lanes, on which the packing depends.
int lz_sweep_lanes(lz_instructions instructions);

// Floats of a layer's packed matrices, for any instruction set.
ptrdiff_t lz_sweep_forward_floats(lz_cell cell, ptrdiff_t hidden, ptrdiff_t inputs);
ptrdiff_t lz_sweep_backward_floats(lz_cell cell, ptrdiff_t hidden, ptrdiff_t inputs);

// Packs w [GH][skipped + inputs − H + head] without the first `skipped` columns: piece `piece` of `pieces` of the work. What heads leave
// out of the own state's columns becomes zeros: the sweeps run at the price of one head.
void lz_sweep_pack(lz_instructions instructions, lz_cell cell, ptrdiff_t hidden, ptrdiff_t head, ptrdiff_t inputs, ptrdiff_t skipped,
                   const float *w, float *forward, float *backward, ptrdiff_t piece, ptrdiff_t pieces);

// Slots first ..< first + count, streams column ..< column + columns. tokens: [count][B], those of slot `first` first.
// `keep`: write the gates; the states are written in any case.
void lz_sweep_forward(lz_instructions instructions, const lz_sweep *sweep, const uint32_t *tokens, ptrdiff_t first,
                      ptrdiff_t count, int keep, ptrdiff_t column, ptrdiff_t columns);

// The same slots, last to first. output_adjoint: [count][B][U], ∂ of the last layer's h by what reads it.
void lz_sweep_backward(lz_instructions instructions, const lz_sweep *sweep, const float *output_adjoint,
                       ptrdiff_t first, ptrdiff_t count, ptrdiff_t column, ptrdiff_t columns);

// Shape letter K: scalars of a unit.
//
// A stage whose rows read no own state, over some slots of a tape: what is left once the products with what lies below are there.
typedef struct {
  int32_t cell;               // an lz_cell of up to two rows, none of them late
  int32_t adds;               // 1: ∂ of the other stage's h is added to what is there
  ptrdiff_t hidden, units, streams;
  const float *bias;          // [GH]
  const float *scalars;       // [KH]
  const float *table;         // [V][GH] of the first stage, which has nothing below
  float *rows;                // tape: [slots][B][GU], row Gu + g from below, if there is anything; becomes what the way back needs, and
                              // on the way back ∂ of the rows, as they lay
  const float *before;        // tape: [slots][B][U] h before each slot
  float *after;               // tape: likewise after it
  const float *others_before; // tape: the S − 1 states after h
  float *others_after;
  ptrdiff_t others_step;      // from one of them to the next
  const float *other;         // tape: h after each slot of the stage that is read unit by unit, or null
  const float *adjoint;       // [count][B][U] ∂h by what reads it at the same token
  float *other_adjoint;       // likewise of the other stage
  float *state_adjoint;       // [S][B][U] ∂ of the states by the tokens after
  float *scalar_adjoint;      // tape: [slots][B][KU] ∂ of the scalars by each token and stream, scalar Ku + k
} lz_chain;

// Slots first ..< first + count, streams column ..< column + columns. tokens: [count][B], for the first stage; else null. Where a unit
// knows nothing of the past, streams may be any samples of the tape.
void lz_chain_forward(lz_instructions instructions, const lz_chain *chain, const uint32_t *tokens, ptrdiff_t first, ptrdiff_t count,
                      ptrdiff_t column, ptrdiff_t columns);

// The same slots, last to first.
void lz_chain_backward(lz_instructions instructions, const lz_chain *chain, ptrdiff_t first, ptrdiff_t count, ptrdiff_t column,
                       ptrdiff_t columns);

// The norm of each of `samples` samples x of H numbers, padded with zeros to U; and ∂x from ∂h, added to what is there if `adds`.
void lz_norm_rows(lz_instructions instructions, const float *x, ptrdiff_t hidden, ptrdiff_t units, ptrdiff_t samples, float *h);
void lz_norm_rows_backward(lz_instructions instructions, const float *x, const float *dh, ptrdiff_t hidden, ptrdiff_t units,
                           ptrdiff_t samples, int adds, float *dx);

// A matrix for lz_multiply_samples: the element of output o and term k is w[o · output_step + k · term_step]. Outputs are padded with
// zeros to `padded`, a multiple of 16: padded · terms floats. Piece `piece` of `pieces` of the work.
void lz_pack_product(lz_instructions instructions, const float *w, ptrdiff_t outputs, ptrdiff_t output_step, ptrdiff_t padded,
                     ptrdiff_t terms, ptrdiff_t term_step, float *packed, ptrdiff_t piece, ptrdiff_t pieces);

// out[s][padded] = Σ_k x[s][k]·w[k][padded] for `samples` samples, added to what is there if `adds`.
void lz_multiply_samples(lz_instructions instructions, const float *packed, ptrdiff_t padded, ptrdiff_t terms, const float *x,
                         ptrdiff_t x_step, ptrdiff_t samples, int adds, float *out, ptrdiff_t out_step);

// Layer norm of each of `samples` samples: h [U] from one or two vectors, numbers [counts] of vectors of [strides] floats. `scalars`: gain and
// bias by turns.
typedef struct {
  const float *rows[2];
  ptrdiff_t counts[2], strides[2];
  ptrdiff_t units;        // U
  const float *scalars;   // [2H]
  float *into[2];         // on the way back, ∂ of the vectors,
  int32_t adds[2];        // which is added to what is there
} lz_layer_norm_input;

void lz_layer_norm_rows(lz_instructions instructions, const lz_layer_norm_input *input, ptrdiff_t samples, float *h);
// From ∂h: ∂ of both vectors, and of the scalars of each sample, `scalar_stride` apart.
void lz_layer_norm_rows_backward(lz_instructions instructions, const lz_layer_norm_input *input, const float *adjoint,
                                 ptrdiff_t samples, float *scalar_adjoint, ptrdiff_t scalar_stride);

// A memory of one stream; see memory.h. `scalars`: [D][6].
typedef struct {
  ptrdiff_t slots, width, heads; // N, D, R
  const float *scalars;
} lz_memory;

// Floats of `room`.
ptrdiff_t lz_memory_room(ptrdiff_t slots, ptrdiff_t width, ptrdiff_t heads);

// One token: from the interface [(R + 3)D + 1] and the memory before [N][D] that after, which may be the same, and the reads [RD].
void lz_memory_step(lz_instructions instructions, const lz_memory *memory, const float *interface, const float *before, float *after,
                    float *reads, float *room);
// The way back: `adjoint` is ∂ of the memory after the token and becomes that of the memory before. ∂ of the interface, and of the scalars.
void lz_memory_step_backward(lz_instructions instructions, const lz_memory *memory, const float *interface, const float *before,
                             const float *after, const float *read_adjoint, float *adjoint, float *interface_adjoint,
                             float *scalar_adjoint, float *room);

// Rows of logits (without bias), `stride` floats apart (a multiple of 16, aligned), become scale·(softmax − target).
// Rows of marked targets become 0 and have no loss.
// Returns the sum of the losses in nats; infinite or NaN if any of the logits is.
double lz_softmax_rows(lz_instructions instructions, float *logits, ptrdiff_t stride, ptrdiff_t rows,
                       ptrdiff_t vocabulary, const float *bias, const uint32_t *targets, float scale);

// Adds `columns` columns of every row to `sum`, and to row targets[row] of `table` (if not null), in the order of the rows.
void lz_add_rows(lz_instructions instructions, const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns,
                 float *sum, const uint32_t *targets, float *table, ptrdiff_t table_stride);

// Adds row targets[i] of `from` to that of `table` and clears it, for `rows` rows i: one that comes again finds zeros.
void lz_take_rows(lz_instructions instructions, float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t columns,
                  const uint32_t *targets, float *table, ptrdiff_t table_stride);

// Σ x², in double.
double lz_sum_squares(lz_instructions instructions, const float *x, ptrdiff_t count);

#endif
