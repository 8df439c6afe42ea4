#include "mw_model.h"

#include "mw.h"
#include "mw_weights.h"

/* One function a layer, never inlined: profilers and fault reports tell layers apart by symbol. */
#if defined(__clang__)
#define MW_LAYER static __attribute__((noinline))
#elif defined(__GNUC__)
#define MW_LAYER static __attribute__((noinline, noclone))
#else
#define MW_LAYER static
#endif

MW_STATIC_ASSERT(MW_MODEL_ARENA_BYTES == 200, header_and_plan_agree);

/* 0: conv = conv2d(s8[1,5,4,2]) -> s8[1,5,4,2], 720 MACs, 60 constant bytes */
static const mw_conv2d_s8_params mw_layer_00_conv_params = {
  .batches = 1,
  .in_h = 5,
  .in_w = 4,
  .in_c = 2,
  .out_h = 5,
  .out_w = 4,
  .out_c = 2,
  .kernel_h = 3,
  .kernel_w = 3,
  .stride_h = 1,
  .stride_w = 1,
  .dilation_h = 1,
  .dilation_w = 1,
  .pad_top = 1,
  .pad_left = 1,
  .in_zero_point = -3,
  .out_zero_point = -3,
  .clamp_min = -3,
  .clamp_max = 127,
  .direct = 0,
  .weights = mw_layer_00_conv_weights,
  .channels = mw_layer_00_conv_channels,
};

MW_LAYER void mw_layer_00_conv(uint8_t *arena)
{
  mw_conv2d_s8(
      (int8_t *)(void *)(arena + 152),
      (int8_t *)(void *)(arena + 0),
      &mw_layer_00_conv_params,
      arena + 40);
}

/* 1: residual = add(s8[1,5,4,2], s8[1,5,4,2]) -> s8[1,5,4,2], 0 MACs, 12 constant bytes */
static const mw_sum_s8_params mw_layer_01_residual_params = {
  .rows = 1,
  .row = 40,
  .a_step = 1,
  .b_step = 1,
  .rank = 0,
  .axes = mw_layer_01_residual_axes,
  .sum.a_zero_point = -3,
  .sum.a_factor = INT32_MIN,
  .sum.a_right = -1,
  .sum.b_zero_point = -3,
  .sum.b_factor = INT32_MIN,
  .sum.b_right = -1,
  .sum.out_factor = INT32_MIN,
  .sum.out_right = 17,
  .sum.out_zero_point = -3,
  .sum.clamp_min = -128,
  .sum.clamp_max = 127,
};

MW_LAYER void mw_layer_01_residual(uint8_t *arena)
{
  mw_add_s8(
      (int8_t *)(void *)(arena + 152),
      (int8_t *)(void *)(arena + 152),
      (int8_t *)(void *)(arena + 0),
      &mw_layer_01_residual_params,
      NULL);
}

/* 2: depthwise = depthwise_conv2d(s8[1,5,4,2]) -> s8[1,2,1,4], 72 MACs, 84 constant bytes */
static const mw_conv2d_s8_params mw_layer_02_depthwise_params = {
  .batches = 1,
  .in_h = 5,
  .in_w = 4,
  .in_c = 2,
  .out_h = 2,
  .out_w = 1,
  .out_c = 4,
  .kernel_h = 3,
  .kernel_w = 3,
  .stride_h = 2,
  .stride_w = 2,
  .dilation_h = 1,
  .dilation_w = 1,
  .pad_top = 0,
  .pad_left = 0,
  .in_zero_point = -3,
  .out_zero_point = 5,
  .clamp_min = -128,
  .clamp_max = 127,
  .direct = 0,
  .weights = mw_layer_02_depthwise_weights,
  .channels = mw_layer_02_depthwise_channels,
};

MW_LAYER void mw_layer_02_depthwise(uint8_t *arena)
{
  mw_depthwise_conv2d_mult_s8(
      (int8_t *)(void *)(arena + 192),
      (int8_t *)(void *)(arena + 152),
      &mw_layer_02_depthwise_params,
      arena + 0);
}

/* 3: pool = mean(s8[1,2,1,4]) -> s8[1,4], 0 MACs, 24 constant bytes */
static const mw_mean_s8_params mw_layer_03_pool_params = {
  .outputs = 4,
  .rows = 1,
  .row = 2,
  .step = 4,
  .out_rank = 1,
  .in_rank = 0,
  .out_axes = mw_layer_03_pool_out_axes,
  .in_axes = mw_layer_03_pool_in_axes,
  .in_zero_point = 5,
  .multiplier = 1073741824,
  .shift = 1,
  .out_zero_point = -3,
  .clamp_min = -128,
  .clamp_max = 127,
};

MW_LAYER void mw_layer_03_pool(uint8_t *arena)
{
  mw_mean_s8(
      (int8_t *)(void *)(arena + 0),
      (int8_t *)(void *)(arena + 192),
      &mw_layer_03_pool_params,
      NULL);
}

/* 4: scores = fully_connected(s8[1,4]) -> s8[1,3], 12 MACs, 48 constant bytes */
static const mw_fully_connected_s8_params mw_layer_04_scores_params = {
  .rows = 1,
  .in_c = 4,
  .out_c = 3,
  .out_zero_point = -3,
  .clamp_min = -128,
  .clamp_max = 127,
  .scale_step = 2,
  .weights = mw_layer_04_scores_weights,
  .bias = mw_layer_04_scores_bias,
  .scales = mw_layer_04_scores_scales,
};

MW_LAYER void mw_layer_04_scores(uint8_t *arena)
{
  mw_fully_connected_s8(
      (int8_t *)(void *)(arena + 8),
      (int8_t *)(void *)(arena + 0),
      &mw_layer_04_scores_params,
      NULL);
}

/* 5: label = softmax(s8[1,3]) -> s8[1,3], 0 MACs, 996 constant bytes */
static const mw_softmax_s8_params mw_layer_05_label_params = {
  .rows = 1,
  .row = 3,
  .entries = 249,
  .exp = mw_layer_05_label_exp,
};

MW_LAYER void mw_layer_05_label(uint8_t *arena)
{
  mw_softmax_s8(
      (int8_t *)(void *)(arena + 8),
      (int8_t *)(void *)(arena + 8),
      &mw_layer_05_label_params,
      NULL);
}

mw_status mw_model_init(mw_model *model, void *arena, size_t arena_bytes)
{
  if (arena == NULL || arena_bytes < MW_MODEL_ARENA_BYTES || ((uintptr_t)arena & 7u) != 0) {
    model->arena = NULL;
    return MW_BAD_ARENA;
  }
  model->arena = arena;
  model->input_image = (int8_t *)(void *)(model->arena + 0);
  model->output_label = (int8_t *)(void *)(model->arena + 8);
  return MW_OK;
}

mw_status mw_model_run(mw_model *model)
{
  if (model->arena == NULL) {
    return MW_NOT_READY;
  }
  mw_layer_00_conv(model->arena);
  mw_layer_01_residual(model->arena);
  mw_layer_02_depthwise(model->arena);
  mw_layer_03_pool(model->arena);
  mw_layer_04_scores(model->arena);
  mw_layer_05_label(model->arena);
  return MW_OK;
}

const char *mw_model_status_text(mw_status status)
{
  switch (status) {
  case MW_OK:
    return "ok";
  case MW_BAD_ARENA:
    return "arena is missing, too small or not aligned to 8 bytes";
  case MW_NOT_READY:
    return "mw_model_init has not succeeded";
  default:
    return "unknown status";
  }
}
