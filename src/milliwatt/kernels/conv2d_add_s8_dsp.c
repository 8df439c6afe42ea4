/* conv2d followed by add, s8, for the DSP extension, without a buffer for the whole hidden value.
 *
 * hidden = conv2d(in), clamped and quantized as if it were stored; out = hidden + skip as in
 * add_s8_dsp. A band of output rows at a time goes through both. Weights that are copied to RAM
 * whole are copied once; those that are copied chunk by chunk are copied for every band.
 *
 * Layouts: those of conv2d_s8_dsp; skip [N,H',W',O].
 * Ranges and rounding: those of conv2d_s8_dsp and add_s8_dsp.
 * Workspace: the hidden values of a band, to a multiple of 4 bytes, then that of conv2d_s8_dsp.
 * In place: out may be the same buffer as skip, never in.
 * Source: TensorFlow Lite 8-bit specification, CONV_2D and ADD.
 */
#include "mw.h"

void mw_conv2d_add_s8_dsp(int8_t *out, const int8_t *in, const int8_t *skip,
                          const mw_conv2d_add_s8_dsp_params *params, void *workspace) {
  const mw_conv2d_s8_dsp_params *whole = &params->conv;
  mw_conv2d_s8_dsp_params band = *whole;
  mw_add_s8_dsp_params sum = params->sum;
  int32_t width = whole->out_w * whole->out_c;
  /* A padded convolution finds its rows from pad_top, another from `in`. */
  ptrdiff_t step = whole->padded ? 0 : whole->stride_h * whole->in_w * whole->in_c;
  int8_t *hidden = workspace, *scratch = hidden + ((params->band * width + 3) & ~3);
  if (whole->copied && whole->copied == whole->words) {
    memcpy(scratch, whole->packed, 4 * (size_t)whole->words);
    band.packed = (const int32_t *)(void *)scratch, band.copied = 0;
    scratch += 4 * whole->words;
  }
  band.batches = 1;
  for (int32_t n = 0; n < whole->batches; n++, in += whole->in_h * whole->in_w * whole->in_c) {
    for (int32_t y = 0; y < whole->out_h; y += params->band) {
      band.out_h = mw_min_s32(params->band, whole->out_h - y);
      band.pad_top = whole->pad_top - y * whole->stride_h;
      mw_conv2d_s8_dsp(hidden, in + y * step, &band, scratch);
      sum.row = band.out_h * width;
      mw_add_s8_dsp(out, hidden, skip, &sum, NULL);
      out += sum.row, skip += sum.row;
    }
  }
}
