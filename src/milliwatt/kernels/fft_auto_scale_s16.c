/* fft_auto_scale: samples shifted left until the largest has no bit to spare, s16.
 *
 * out = {in[i] * 2^bits, bits}, bits = 15 - bit_length(max_i |in[i]|), 0 where that is below 0
 *
 * Layouts: out is a bundle of s16 [size] and one s32. Ranges: |-32768| is -32768 in 16 bits, so
 * that the search for the largest starts again behind it, as in the source; what overflows then
 * wraps. Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite Micro, signal/src/fft_auto_scale and max_abs.
 */
#include "mw.h"
#include "mw_bits.h"

void mw_fft_auto_scale_s16(uint8_t *out, const int16_t *in, const mw_fft_auto_scale_params *params,
                           void *workspace) {
  int16_t *samples = (int16_t *)(void *)out;
  int32_t size = params->size, padded = (size + 3) & ~3, most = 0;
  (void)workspace;
  for (int32_t i = 0; i < size; i++) {
    int32_t value = in[i];
    if (value > most) {
      most = value;
    } else if (-value > most) {
      most = (int16_t)-value;
    }
  }
  int32_t bits = most > 0 ? 15 - mw_bit_length_u32((uint32_t)most) : 0;
  for (int32_t i = 0; i < size; i++) samples[i] = (int16_t)((uint32_t)in[i] << bits);
  for (int32_t i = size; i < padded; i++) samples[i] = 0;
  int32_t *last = (int32_t *)(void *)(samples + padded);
  last[0] = bits;
  last[1] = 0;
}
