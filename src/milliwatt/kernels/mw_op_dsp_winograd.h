/* Parameters and prototypes of the Winograd convolutions for the DSP extension. Included by mw.h. */
#ifndef MW_OP_DSP_WINOGRAD_H
#define MW_OP_DSP_WINOGRAD_H

typedef struct {
  int32_t batches, in_h, in_w, in_c; /* in_c a multiple of 4 */
  int32_t out_h, out_w, out_c;       /* out_c even */
  int32_t pad_top, pad_left;
  int32_t in_zero_point; /* what padded cells read as */
  int32_t clamp_min, clamp_max;
  const int32_t *weights;  /* transformed and packed, see mw_winograd_dsp.h */
  const int32_t *channels; /* [out_c][4], see mw_winograd_dsp.h */
} mw_conv2d_winograd_s8_dsp_params;

void mw_conv2d_winograd2_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_conv2d_winograd_s8_dsp_params *params, void *workspace);
void mw_conv2d_winograd4_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_conv2d_winograd_s8_dsp_params *params, void *workspace);

#endif
