/* rfft: the spectrum of real signals, 16-bit fixed point.
 *
 * out[r,k] = sum_i in[r,i] * exp(-2 pi i k / n) / n for k = 0 .. n / 2, each as {re, im}
 *
 * Layouts: in [rows,in_size], filled up with zeros to n = 2 * count; out [rows,n + 2].
 * Ranges: n / 2 is a product of 2, 3, 4 and 5 with 16 stages at most; a stage divides by its
 * radix first, what leaves the type nevertheless wraps.
 * Workspace: none. Out may not overlap in. Rounding: halves up, after every product.
 * Source: KISS FFT, manual; TensorFlow Lite Micro, signal/src/rfft.
 */
#include "mw.h"
#include "mw_fft_s16.h"

void mw_rfft_s16(int16_t *out, const int16_t *in, const mw_fft_params_s16 *params,
                 void *workspace) {
  (void)workspace;
  mw_fft_forward_s16(out, in, params);
}
