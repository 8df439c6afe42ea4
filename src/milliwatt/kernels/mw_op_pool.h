/* Pooling and mean: parameters and prototypes. Included by mw.h, whose macros it uses. */
#ifndef MW_OP_POOL_H
#define MW_OP_POOL_H

typedef struct {
  MW_WINDOW;
  int32_t clamp_min, clamp_max;
} mw_pool2d_s8_params; /* max and average, s8 and s16; dilation 1 */

typedef struct {
  MW_WINDOW;
  MW_RESULT_F32;
} mw_pool2d_f32_params;

/* An output sums `rows` rows of `row` elements that lie `step` apart; out_axes = [out_rank][3]
 * walks the outputs and in_axes = [in_rank][3] the rows, each of {size, input stride, 0}, innermost
 * first. */
#define MW_REDUCTION                                   \
  int32_t outputs, rows, row, step, out_rank, in_rank; \
  const int32_t *out_axes, *in_axes

typedef struct {
  MW_REDUCTION;
  int32_t in_zero_point, multiplier, shift; /* multiplier holds 1 / count */
  MW_RESULT_S8;
} mw_mean_s8_params; /* also s16 */

typedef struct {
  MW_REDUCTION;
} mw_mean_f32_params;

void mw_max_pool2d_s8(int8_t *out, const int8_t *in, const mw_pool2d_s8_params *params,
                      void *workspace);
void mw_max_pool2d_s16(int16_t *out, const int16_t *in, const mw_pool2d_s8_params *params,
                       void *workspace);
void mw_max_pool2d_f32(float *out, const float *in, const mw_pool2d_f32_params *params,
                       void *workspace);
void mw_average_pool2d_s8(int8_t *out, const int8_t *in, const mw_pool2d_s8_params *params,
                          void *workspace);
void mw_average_pool2d_s16(int16_t *out, const int16_t *in, const mw_pool2d_s8_params *params,
                           void *workspace);
void mw_average_pool2d_f32(float *out, const float *in, const mw_pool2d_f32_params *params,
                           void *workspace);
void mw_mean_s8(int8_t *out, const int8_t *in, const mw_mean_s8_params *params, void *workspace);
void mw_mean_s16(int16_t *out, const int16_t *in, const mw_mean_s8_params *params,
                 void *workspace);
void mw_mean_f32(float *out, const float *in, const mw_mean_f32_params *params, void *workspace);

#endif
