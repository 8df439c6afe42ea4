/* lstm: a sequence through an LSTM of four gates, s8 with s8 weights and an s16 cell state.
 *
 * out = {y, h, c}: gate = act(rescale(W (x - zx) + b) + rescale(R (h - zh))), c = f c + i g,
 * y = h = zh + o tanh(c), every step
 *
 * Layouts: x [B,T,I] or [T,B,I], W [S,I], R [S,S], b [S], h and c [B,S]; out a bundle of y, shaped
 * as x with S for I, h, c. Ranges: all; sums wrap to 32 bits.
 * Workspace: none. Out may not overlap an operand. Rounding: TFLM's, see mw_fixed.h; logistic and
 * tanh by table, see mw_sigmoid_s16.h.
 * Source: TensorFlow Lite Micro reference kernels, UNIDIRECTIONAL_SEQUENCE_LSTM.
 */
#include "mw_lstm.h"

static int32_t mw_lstm_sum_s8(uint32_t sum, const int8_t *a, int32_t zero, const int8_t *w,
                              int32_t n, const int32_t *scale) {
  for (; n > 0; n--) sum += (uint32_t)((*a++ - zero) * *w++);
  return mw_lstm_bound(mw_rescale((int32_t)sum, scale[0], scale[1]));
}

/* The sum of unit u of gate k. */
static int32_t mw_lstm_gate_s8(const void *const in[], int32_t k, int32_t u, const int8_t *x,
                               const int8_t *h, const mw_lstm_params *p) {
  const int8_t *weights = in[1 + k], *recurrent = in[5 + k];
  const int32_t *bias = in[9 + k], *scale = p->gates + 2 * k;
  int32_t given = mw_lstm_sum_s8((uint32_t)bias[u], x, p->in_zero_point, weights + u * p->inputs,
                                 p->inputs, scale);
  int32_t held = mw_lstm_sum_s8(0, h, p->hidden_zero_point, recurrent + u * p->units, p->units,
                                scale + 8);
  return mw_lstm_bound(given + held);
}

void mw_lstm_s8(uint8_t *out, const void *const in[], const mw_lstm_params *params,
                void *workspace) {
  const int8_t *x = in[0], *first = in[13];
  int8_t *y = (int8_t *)(void *)out, *last = (int8_t *)(void *)(out + params->hidden_bytes);
  int16_t *cell = (int16_t *)(void *)(out + params->cell_bytes);
  int32_t units = params->units, zero = params->hidden_zero_point;
  (void)workspace;
  memset(out, 0, (size_t)params->out_bytes);
  memcpy(cell, in[14], (size_t)(params->batches * units) * sizeof(int16_t));
  for (int32_t b = 0; b < params->batches; b++, cell += units, last += units) {
    const int8_t *h = first + b * units;
    for (int32_t t = 0; t < params->steps; t++) {
      const int8_t *now = x + t * params->in_step + b * params->in_batch;
      int8_t *made = y + t * params->out_step + b * params->out_batch;
      for (int32_t u = 0; u < units; u++) {
        int32_t sums[4];
        for (int32_t k = 0; k < 4; k++) sums[k] = mw_lstm_gate_s8(in, k, u, now, h, params);
        int32_t value = mw_lstm_unit(sums, cell + u, params);
        made[u] = (int8_t)(mw_bound_s32(value, -128 - zero, 127 - zero) + zero);
      }
      h = made;
    }
    memcpy(last, h, (size_t)units * sizeof(int8_t));
  }
}
