/* Convolution with the DSP extension: parameters and prototype. Included by mw.h. */
#ifndef MW_OP_DSP_CONV_H
#define MW_OP_DSP_CONV_H

typedef struct {
  MW_WINDOW;
  int32_t in_zero_point; /* what padded cells read as */
  int32_t clamp_min, clamp_max;
  int32_t padded;        /* 1: windows are cut from padded copies of their rows */
  int32_t products;      /* kernel_h * kernel_w * in_c, to a multiple of 2 */
  int32_t steps;         /* of a requantization, 1 or 2 */
  int32_t pairs;         /* of columns that are made before they are multiplied */
  int32_t chunk;         /* blocks of four channels for which all pixels are passed over */
  int32_t copied;        /* words of workspace that a chunk is copied to; 0: not copied */
  int32_t words;         /* of `packed` */
  const int32_t *packed; /* weights, biases and scales, see mw_gemm_dsp.h */
} mw_conv2d_s8_dsp_params;

void mw_conv2d_s8_dsp(int8_t *out, const int8_t *in, const mw_conv2d_s8_dsp_params *params,
                      void *workspace);

#endif
