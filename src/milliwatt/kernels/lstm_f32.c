/* lstm: a sequence through an LSTM of four gates, f32.
 *
 * out = {y, h, c}: gate = act(W x + R h + b), c = f c + i g, y = h = o tanh(c), every step
 *
 * Layouts: x [B,T,I] or [T,B,I], W [S,I], R [S,S], b [S], h and c [B,S]; out a bundle of y, shaped
 * as x with S for I, h, c. Ranges: all. Workspace: none. Out may not overlap an operand.
 * Rounding: float32's; logistic and tanh as mw_math.h says.
 * Source: TensorFlow Lite Micro reference kernels, UNIDIRECTIONAL_SEQUENCE_LSTM.
 */
#include "mw.h"
#include "mw_math.h"

static float mw_lstm_dot_f32(float sum, const float *a, const float *w, int32_t n) {
  for (; n > 0; n--) sum += *a++ * *w++;
  return sum;
}

/* The sum of unit u of gate k before its activation. */
static float mw_lstm_gate_f32(const void *const in[], int32_t k, int32_t u, const float *x,
                              const float *h, const mw_lstm_f32_params *p) {
  const float *weights = in[1 + k], *recurrent = in[5 + k], *bias = in[9 + k];
  float sum = mw_lstm_dot_f32(bias[u], x, weights + u * p->inputs, p->inputs);
  return mw_lstm_dot_f32(sum, h, recurrent + u * p->units, p->units);
}

void mw_lstm_f32(uint8_t *out, const void *const in[], const mw_lstm_f32_params *params,
                 void *workspace) {
  const float *x = in[0], *first = in[13];
  float *y = (float *)(void *)out, *last = (float *)(void *)(out + params->hidden_bytes);
  float *cell = (float *)(void *)(out + params->cell_bytes), clip = params->cell_clip;
  int32_t units = params->units;
  (void)workspace;
  memset(out, 0, (size_t)params->out_bytes);
  memcpy(cell, in[14], (size_t)(params->batches * units) * sizeof(float));
  for (int32_t b = 0; b < params->batches; b++, cell += units, last += units) {
    const float *h = first + b * units;
    for (int32_t t = 0; t < params->steps; t++) {
      const float *now = x + t * params->in_step + b * params->in_batch;
      float *made = y + t * params->out_step + b * params->out_batch;
      for (int32_t u = 0; u < units; u++) {
        float forget = mw_logistic_one_f32(mw_lstm_gate_f32(in, 1, u, now, h, params));
        float input = mw_logistic_one_f32(mw_lstm_gate_f32(in, 0, u, now, h, params));
        float fresh = mw_tanh_one_f32(mw_lstm_gate_f32(in, 2, u, now, h, params));
        float output = mw_logistic_one_f32(mw_lstm_gate_f32(in, 3, u, now, h, params));
        float value = forget * cell[u] + input * fresh;
        cell[u] = clip > 0 ? mw_bound_f32(value, -clip, clip) : value;
        made[u] = output * mw_tanh_one_f32(cell[u]);
      }
      h = made;
    }
    memcpy(last, h, (size_t)units * sizeof(float));
  }
}
