/* rfft: the spectrum of real signals, float32.
 *
 * out[r,k] = sum_i in[r,i] * exp(-2 pi i k / n) for k = 0 .. n / 2, each as {re, im}
 *
 * Layouts: in [rows,in_size], filled up with zeros to n = 2 * count; out [rows,n + 2].
 * Ranges: n / 2 is a product of 2, 3, 4 and 5 with 16 stages at most.
 * Workspace: none. Out may not overlap in. Rounding: float32's.
 * Source: KISS FFT, manual; TensorFlow Lite Micro, signal/src/rfft.
 */
#include "mw.h"
#include "mw_fft_f32.h"

void mw_rfft_f32(float *out, const float *in, const mw_fft_params_f32 *params, void *workspace) {
  (void)workspace;
  mw_fft_forward_f32(out, in, params);
}
