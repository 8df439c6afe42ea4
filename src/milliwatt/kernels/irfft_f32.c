/* irfft: the real signals of spectra, float32.
 *
 * out[r,i] = sum_k in[r,k] * exp(2 pi i k / n) / n over k = -n / 2 .. n / 2, in[r,-k] = in[r,k]*
 *
 * Layouts: in [rows,n + 2] of {re, im}, k = 0 .. n / 2, n = 2 * count; out [rows,n].
 * Ranges: n / 2 is a product of 2, 3, 4 and 5 with 16 stages at most.
 * Workspace: n values. Out may not overlap in. Rounding: float32's.
 * Source: KISS FFT, manual; TensorFlow Lite Micro, signal/src/irfft.
 */
#include "mw.h"
#include "mw_fft_f32.h"

void mw_irfft_f32(float *out, const float *in, const mw_fft_params_f32 *params, void *workspace) {
  mw_fft_backward_f32(out, in, params, workspace);
  float share = 1.0f / (float)(2 * params->count);
  for (int32_t i = 0; i < params->rows * 2 * params->count; i++) out[i] *= share;
}
