/* irfft: the real signals of spectra, 16-bit fixed point.
 *
 * out[r,i] = sum_k in[r,k] * exp(2 pi i k / n) / n over k = -n / 2 .. n / 2, in[r,-k] = in[r,k]*
 *
 * Layouts: in [rows,n + 2] of {re, im}, k = 0 .. n / 2, n = 2 * count; out [rows,n].
 * Ranges: n / 2 is a product of 2, 3, 4 and 5 with 16 stages at most; a stage divides by its
 * radix first, what leaves the type nevertheless wraps.
 * Workspace: n values. Out may not overlap in. Rounding: halves up, after every product.
 * Source: KISS FFT, manual; TensorFlow Lite Micro, signal/src/irfft.
 */
#include "mw.h"
#include "mw_fft_s16.h"

void mw_irfft_s16(int16_t *out, const int16_t *in, const mw_fft_params_s16 *params,
                  void *workspace) {
  mw_fft_backward_s16(out, in, params, workspace);
}
