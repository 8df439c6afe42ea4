/* fully_connected and pooling for the DSP extension: parameters and prototypes; see mw.h. */
#ifndef MW_OP_DSP_MATRIX_H
#define MW_OP_DSP_MATRIX_H

#include "mw_common.h"
#include "mw_op_pool.h"

typedef struct {
  int32_t rows, in_c, out_c;
  int32_t part; /* products whose sum fits a paired accumulator, in fours; in_c where all do */
  int32_t clamp_min, clamp_max;
  int32_t steps;          /* of the rounding: 1 or 2, see mw_dsp.h */
  int32_t record_step;    /* words from one channel's record to the next, 0: one for all */
  const int32_t *records; /* {factor, offset} or {right, multiplier, half} */
  const int32_t *weights; /* a stream of biases and weights, see the kernel */
} mw_fully_connected_s8_dsp_params;

typedef struct {
  int32_t outer, cells, channels;
  int32_t bias, steps;           /* of the rounding: 1 or 2, see mw_dsp.h */
  int32_t factor, offset, right; /* or multiplier, half, right */
} mw_mean_s8_dsp_params;

void mw_fully_connected_s8_dsp(int8_t *out, const int8_t *in,
                               const mw_fully_connected_s8_dsp_params *params, void *workspace);
void mw_average_pool2d_s8_dsp(int8_t *out, const int8_t *in, const mw_pool2d_s8_params *params,
                              void *workspace);
void mw_max_pool2d_s8_dsp(int8_t *out, const int8_t *in, const mw_pool2d_s8_params *params,
                          void *workspace);
void mw_mean_s8_dsp(int8_t *out, const int8_t *in, const mw_mean_s8_dsp_params *params,
                    void *workspace);

#endif
