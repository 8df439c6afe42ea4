/* lstm: a sequence through an LSTM of four gates, s16 with s8 weights and an s16 cell state.
 *
 * out = {y, h, c}: gate = act(rescale(W x + b) + rescale(R h)), c = f c + i g,
 * y = h = o tanh(c), every step
 *
 * Layouts: x [B,T,I] or [T,B,I], W [S,I], R [S,S], b [S], h and c [B,S]; out a bundle of y, shaped
 * as x with S for I, h, c. Ranges: sums below 2^47 (checked when binding).
 * Workspace: none. Out may not overlap an operand. Rounding: TFLM's, see mw_fixed.h; logistic and
 * tanh by table, see mw_sigmoid_s16.h.
 * Source: TensorFlow Lite Micro reference kernels, UNIDIRECTIONAL_SEQUENCE_LSTM.
 */
#include "mw_lstm.h"

static int32_t mw_lstm_sum_s16(int64_t sum, const int16_t *a, const int8_t *w, int32_t n,
                               const int32_t *scale) {
  for (; n > 0; n--) sum += (int32_t)*a++ * *w++;
  return mw_lstm_bound(mw_scale_wide(sum, scale[0], scale[1]));
}

/* The sum of unit u of gate k. */
static int32_t mw_lstm_gate_s16(const void *const in[], int32_t k, int32_t u, const int16_t *x,
                                const int16_t *h, const mw_lstm_params *p) {
  const int8_t *weights = in[1 + k], *recurrent = in[5 + k];
  const int64_t *bias = in[9 + k];
  const int32_t *scale = p->gates + 2 * k;
  int32_t given = mw_lstm_sum_s16(bias[u], x, weights + u * p->inputs, p->inputs, scale);
  int32_t held = mw_lstm_sum_s16(0, h, recurrent + u * p->units, p->units, scale + 8);
  return mw_lstm_bound(given + held);
}

void mw_lstm_s16(uint8_t *out, const void *const in[], const mw_lstm_params *params,
                 void *workspace) {
  const int16_t *x = in[0], *first = in[13];
  int16_t *y = (int16_t *)(void *)out, *last = (int16_t *)(void *)(out + params->hidden_bytes);
  int16_t *cell = (int16_t *)(void *)(out + params->cell_bytes);
  int32_t units = params->units;
  (void)workspace;
  memset(out, 0, (size_t)params->out_bytes);
  memcpy(cell, in[14], (size_t)(params->batches * units) * sizeof(int16_t));
  for (int32_t b = 0; b < params->batches; b++, cell += units, last += units) {
    const int16_t *h = first + b * units;
    for (int32_t t = 0; t < params->steps; t++) {
      const int16_t *now = x + t * params->in_step + b * params->in_batch;
      int16_t *made = y + t * params->out_step + b * params->out_batch;
      for (int32_t u = 0; u < units; u++) {
        int32_t sums[4];
        for (int32_t k = 0; k < 4; k++) sums[k] = mw_lstm_gate_s16(in, k, u, now, h, params);
        int32_t value = mw_lstm_unit(sums, cell + u, params);
        made[u] = (int16_t)mw_lstm_bound(value);
      }
      h = made;
    }
    memcpy(last, h, (size_t)units * sizeof(int16_t));
  }
}
