/* Reductions, searches along an axis, norms, detection: parameters and prototypes; see mw.h. */
#ifndef MW_OP_REDUCE_H
#define MW_OP_REDUCE_H

#include "mw_common.h"
#include "mw_op_pool.h"

typedef struct {
  MW_REDUCTION;
} mw_sum_f32_params;

typedef struct {
  MW_REDUCTION;
  int32_t flip; /* 0: the largest, -1: the smallest */
} mw_reduce_extremum_params;

typedef struct {
  MW_REDUCTION;
  float sign; /* 1: the largest, -1: the smallest */
} mw_reduce_extremum_f32_params;

/* An axis of `size` values `inner` elements apart, for each of `outer` * `inner` places. */
#define MW_ALONG int32_t outer, size, inner

typedef struct {
  MW_ALONG;
  int32_t flip; /* as above */
} mw_arg_extremum_params;

typedef struct {
  MW_ALONG;
  float sign;
} mw_arg_extremum_f32_params;

typedef struct {
  MW_ALONG;
  int32_t exclusive, reverse;
} mw_cumsum_f32_params;

typedef struct {
  MW_ALONG;
  int32_t exclusive, reverse;
  int32_t in_zero_point, multiplier, shift;
  MW_RESULT_S8;
} mw_cumsum_s8_params;

typedef struct {
  int32_t rows, row;
} mw_rows_params; /* norms of f32 */

typedef struct {
  int32_t rows, row, in_zero_point;
} mw_l2_normalization_s8_params;

typedef struct {
  int32_t rows, row;
  int32_t multiplier, shift;           /* input steps to Q5.26 */
  int32_t back_multiplier, back_shift; /* and back */
  int32_t radius;                      /* most steps below the largest that Q5.26 holds */
  int32_t entries;
  const int32_t *exp; /* [entries]: exp(-d) in Q0.31 for a difference of d steps */
} mw_log_softmax_s8_params;

typedef struct {
  int32_t count, stride;    /* boxes, and values of each */
  int32_t classes, columns; /* scores of each box: of classes, and all with the background */
  int32_t regular, per_class, most;
  float score_threshold, iou_threshold;
  float y_scale, x_scale, h_scale, w_scale;
  int32_t classes_at, scores_at, found_at, end; /* in the bundle, in floats; boxes are at 0 */
} mw_detection_postprocess_f32_params;

void mw_sum_f32(float *out, const float *in, const mw_sum_f32_params *params, void *workspace);
void mw_reduce_extremum_f32(float *out, const float *in,
                            const mw_reduce_extremum_f32_params *params, void *workspace);
void mw_reduce_extremum_s8(int8_t *out, const int8_t *in, const mw_reduce_extremum_params *params,
                           void *workspace);
void mw_reduce_extremum_s16(int16_t *out, const int16_t *in,
                            const mw_reduce_extremum_params *params, void *workspace);
void mw_reduce_extremum_s32(int32_t *out, const int32_t *in,
                            const mw_reduce_extremum_params *params, void *workspace);
void mw_reduce_extremum_bool(uint8_t *out, const uint8_t *in,
                             const mw_reduce_extremum_params *params, void *workspace);
void mw_arg_extremum_f32(int32_t *out, const float *in, const mw_arg_extremum_f32_params *params,
                         void *workspace);
void mw_arg_extremum_s8(int32_t *out, const int8_t *in, const mw_arg_extremum_params *params,
                        void *workspace);
void mw_arg_extremum_s32(int32_t *out, const int32_t *in, const mw_arg_extremum_params *params,
                         void *workspace);
void mw_cumsum_f32(float *out, const float *in, const mw_cumsum_f32_params *params,
                   void *workspace);
void mw_cumsum_s8(int8_t *out, const int8_t *in, const mw_cumsum_s8_params *params,
                  void *workspace);
void mw_l2_pool2d_f32(float *out, const float *in, const mw_pool2d_f32_params *params,
                      void *workspace);
void mw_l2_normalization_f32(float *out, const float *in, const mw_rows_params *params,
                             void *workspace);
void mw_l2_normalization_s8(int8_t *out, const int8_t *in,
                            const mw_l2_normalization_s8_params *params, void *workspace);
void mw_log_softmax_f32(float *out, const float *in, const mw_rows_params *params,
                        void *workspace);
void mw_log_softmax_s8(int8_t *out, const int8_t *in, const mw_log_softmax_s8_params *params,
                       void *workspace);
void mw_detection_postprocess_f32(uint8_t *out, const float *boxes, const float *scores,
                                  const float *anchors,
                                  const mw_detection_postprocess_f32_params *params,
                                  void *workspace);

#endif
