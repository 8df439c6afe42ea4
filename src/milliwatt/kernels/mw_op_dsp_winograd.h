/* Parameters and prototypes of the Winograd convolutions for the DSP extension. See mw.h. */
#ifndef MW_OP_DSP_WINOGRAD_H
#define MW_OP_DSP_WINOGRAD_H

#include "mw_op_dsp_elementwise.h"

typedef struct {
  int32_t batches, in_h, in_w, in_c; /* in_c a multiple of 4 */
  int32_t out_h, out_w, out_c;       /* out_c even */
  int32_t pad_top, pad_left;
  int32_t in_zero_point; /* what padded cells read as */
  int32_t clamp_min, clamp_max;
  int32_t group;           /* pairs of output channels whose sums the workspace holds */
  const int32_t *weights;  /* transformed and packed, see mw_winograd_dsp.h */
  const int32_t *channels; /* [out_c][4], see mw_winograd_dsp.h */
} mw_conv2d_winograd_s8_dsp_params;

typedef struct {
  mw_conv2d_winograd_s8_dsp_params conv; /* makes the hidden value, operand a of the sum */
  int32_t band;             /* output rows whose hidden values are kept at a time, whole tiles */
  mw_add_s8_dsp_params sum; /* of all outputs in one row */
} mw_conv2d_add_winograd_s8_dsp_params;

void mw_conv2d_winograd2_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_conv2d_winograd_s8_dsp_params *params, void *workspace);
void mw_conv2d_winograd4_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_conv2d_winograd_s8_dsp_params *params, void *workspace);
void mw_conv2d_add_winograd2_s8_dsp(int8_t *out, const int8_t *in, const int8_t *skip,
                                    const mw_conv2d_add_winograd_s8_dsp_params *params,
                                    void *workspace);
void mw_conv2d_add_winograd4_s8_dsp(int8_t *out, const int8_t *in, const int8_t *skip,
                                    const mw_conv2d_add_winograd_s8_dsp_params *params,
                                    void *workspace);

#endif
