/* Operators that move values: slices, gathers, mirrors, resizing: parameters and prototypes; see
 * mw.h. */
#ifndef MW_OP_MOVE_H
#define MW_OP_MOVE_H

#include "mw_common.h"

/* Runs and axes as in mw_transpose_params. */
typedef struct {
  int32_t runs, run_bytes, rank;
  const int32_t *axes;
  int32_t in_offset; /* where the first run lies, in bytes */
} mw_strided_slice_params;

/* Runs that lie where tables say: the axes of the result have sizes[rank], outermost first, the
 * last one with `row` runs; offsets holds one table an axis, in the same order: where in the input,
 * in bytes, element i of the axis lies. */
typedef struct {
  int32_t rows, row, run_bytes, rank;
  const int32_t *sizes;
  const int32_t *offsets;
} mw_take_params;

/* Of each of `batches`, with its own `count` index tuples, `outer` blocks of block_bytes are picked
 * from; axes = [depth][2] of {size, stride in bytes}, one for each index of a tuple. */
typedef struct {
  int32_t batches, outer, block_bytes;
  int32_t count, depth, run_bytes;
  int32_t index_bytes; /* 4 or 8 */
  const int32_t *axes;
} mw_gather_params;

/* Runs and axes of the update as in mw_transpose_params; limits = [start_rank][2] of {largest
 * start, stride in bytes}. */
typedef struct {
  int32_t runs, run_bytes, rank;
  const int32_t *axes;
  int32_t out_bytes, start_rank;
  int32_t index_bytes; /* 4 or 8 */
  const int32_t *limits;
} mw_dynamic_update_slice_params;

typedef struct {
  int32_t rows, kept_bytes, fresh_bytes;
} mw_shift_in_params;

typedef struct {
  int32_t batches, in_h, in_w, channels, out_h, out_w;
  int32_t first_y, step_y, first_x, step_x; /* 10 bits behind the point */
} mw_resize_bilinear_s8_params; /* also resize_bilinear_s16 */

typedef struct {
  int32_t batches, in_h, in_w, channels, out_h, out_w;
  const float *rows, *columns; /* [out_h], [out_w]: their place in the input */
} mw_resize_bilinear_f32_params;

void mw_strided_slice(void *out, const void *in, const mw_strided_slice_params *params,
                      void *workspace);
void mw_take(void *out, const void *in, const mw_take_params *params, void *workspace);
void mw_gather(void *out, const void *in, const void *indices, const mw_gather_params *params,
               void *workspace);
void mw_dynamic_update_slice(void *out, const void *in, const void *update, const void *start,
                             const mw_dynamic_update_slice_params *params, void *workspace);
void mw_shift_in(void *out, const void *buffer, const void *fresh,
                 const mw_shift_in_params *params, void *workspace);
void mw_resize_bilinear_s8(int8_t *out, const int8_t *in,
                           const mw_resize_bilinear_s8_params *params, void *workspace);
void mw_resize_bilinear_s16(int16_t *out, const int16_t *in,
                            const mw_resize_bilinear_s8_params *params, void *workspace);
void mw_resize_bilinear_f32(float *out, const float *in,
                            const mw_resize_bilinear_f32_params *params, void *workspace);

#endif
