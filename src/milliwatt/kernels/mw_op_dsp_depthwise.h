/* Parameters of the depthwise kernels for the DSP extension; included by mw.h. */
#ifndef MW_OP_DSP_DEPTHWISE_H
#define MW_OP_DSP_DEPTHWISE_H

/* An image as lines of runs: the run is the axis that inner loops walk, rows or columns. */
typedef struct {
  int32_t batches, in_bytes, out_bytes; /* of one image */
  int32_t channels;
  int32_t run_in, run_out, run_pad, run_stride, run_kernel;
  int32_t lines_in, lines_out, lines_pad, lines_stride, lines_kernel;
  int32_t in_step, in_line, out_step, out_line; /* bytes from element to element, line to line */
  int32_t buffer_lines, line_bytes;             /* of a channel's int16 lines; see mw_plane_dsp.h */
  int32_t in_zero_point, clamp_min, clamp_max;
  int32_t steps;           /* of requantization, 1 or 2 */
  const int8_t *weights;   /* [channels][lines_kernel][run_kernel] */
  const int32_t *records;  /* [channels][4], see mw_dsp.h; bias holds -in_zero_point * sum(w) */
} mw_depthwise_dsp_params;

void mw_depthwise_conv2d_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_depthwise_dsp_params *params, void *workspace);
void mw_depthwise_conv2d_s2_s8_dsp(int8_t *out, const int8_t *in,
                                   const mw_depthwise_dsp_params *params, void *workspace);
void mw_depthwise_conv2d_any_s8_dsp(int8_t *out, const int8_t *in,
                                    const mw_depthwise_dsp_params *params, void *workspace);
void mw_depthwise_conv2d_taps_s8_dsp(int8_t *out, const int8_t *in,
                                     const mw_depthwise_dsp_params *params, void *workspace);

#endif
