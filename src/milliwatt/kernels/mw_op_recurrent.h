/* Recurrent layers: SVDF and LSTM: parameters and prototypes; see mw.h. */
#ifndef MW_OP_RECURRENT_H
#define MW_OP_RECURRENT_H

#include "mw_common.h"

typedef struct {
  int32_t batches, inputs, filters, steps;
} mw_svdf_state_f32_params;

typedef struct {
  int32_t batches, inputs, filters, steps;
  int32_t in_zero_point, multiplier, shift; /* s_in * s_weights / s_state */
  int32_t state_zero_point;
} mw_svdf_state_params;

typedef struct {
  int32_t batches, units, taps; /* taps = rank * steps: products of one unit */
  float clamp_min, clamp_max;
} mw_svdf_f32_params;

typedef struct {
  int32_t batches, units, taps;
  int32_t state_zero_point, multiplier, shift; /* s_state * s_weights / s_out */
  int32_t out_zero_point;
} mw_svdf_params;

/* Elements from one step, or one sample, to the next in x and y; the parts of the bundle. */
#define MW_LSTM                                                       \
  int32_t batches, steps, inputs, units;                              \
  int32_t in_step, in_batch, out_step, out_batch;                     \
  int32_t hidden_bytes, cell_bytes, out_bytes /* offsets, and its size */

typedef struct {
  MW_LSTM;
  float cell_clip; /* 0: no bound */
} mw_lstm_f32_params;

/* Scales are {multiplier, shift} of mw_fixed.h; those of gates: 4 for x, then 4 for h. For 16-bit
 * activations {multiplier of 15 bits, right shift}. */
typedef struct {
  MW_LSTM;
  int32_t in_zero_point, hidden_zero_point;
  int32_t clips, cell_clip;            /* is the cell bounded, by what */
  int32_t tanh_multiplier, tanh_shift; /* of the cell state */
  const int32_t *gates;                /* [8][2] */
  const int32_t *scales;               /* [3][2]: f * c, i * g, o * tanh(c) */
} mw_lstm_params;

void mw_svdf_state_f32(float *out, const float *in, const float *weights, const float *state,
                       const mw_svdf_state_f32_params *params, void *workspace);
void mw_svdf_state_s8(int8_t *out, const int8_t *in, const int8_t *weights, const int8_t *state,
                      const mw_svdf_state_params *params, void *workspace);
void mw_svdf_state_s8_s16(int16_t *out, const int8_t *in, const int8_t *weights,
                          const int16_t *state, const mw_svdf_state_params *params,
                          void *workspace);
void mw_svdf_f32(float *out, const float *state, const float *weights, const float *bias,
                 const mw_svdf_f32_params *params, void *workspace);
void mw_svdf_s8(int8_t *out, const int8_t *state, const int8_t *weights, const int32_t *bias,
                const mw_svdf_params *params, void *workspace);
void mw_svdf_s16(int8_t *out, const int16_t *state, const int16_t *weights, const int32_t *bias,
                 const mw_svdf_params *params, void *workspace);

/* in: x; weights and recurrent weights of the gates input, forget, cell, output; their biases; the
 * hidden and the cell state. */
void mw_lstm_f32(uint8_t *out, const void *const in[], const mw_lstm_f32_params *params,
                 void *workspace);
void mw_lstm_s8(uint8_t *out, const void *const in[], const mw_lstm_params *params,
                void *workspace);
void mw_lstm_s16(uint8_t *out, const void *const in[], const mw_lstm_params *params,
                 void *workspace);

#endif
