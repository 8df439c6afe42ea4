#include "mw_model.h"

#include <string.h>

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

MW_STATIC_ASSERT(MW_MODEL_ARENA_BYTES == 104, header_and_plan_agree);

/* 0: score = mean(s8[3,4]) -> s8[4], 0 MACs, 24 constant bytes */
static const mw_mean_s8_params mw_layer_00_score_params = {
  .outputs = 4,
  .rows = 1,
  .row = 3,
  .step = 4,
  .out_rank = 1,
  .in_rank = 0,
  .out_axes = mw_layer_00_score_out_axes,
  .in_axes = mw_layer_00_score_in_axes,
  .in_zero_point = -3,
  .multiplier = 715827882,
  .shift = 0,
  .out_zero_point = -3,
  .clamp_min = -128,
  .clamp_max = 127,
};

MW_LAYER void mw_layer_00_score(uint8_t *arena)
{
  mw_mean_s8(
      (int8_t *)(void *)(arena + 88),
      (int8_t *)(void *)(arena + 0),
      &mw_layer_00_score_params,
      NULL);
}

/* 0: raised = add(s8[1,4]) -> s8[1,4], 0 MACs, 16 constant bytes */
static const mw_sum_s8_params mw_layer_01_choice_then_00_params = {
  .rows = 1,
  .row = 4,
  .a_step = 1,
  .b_step = 1,
  .rank = 0,
  .axes = mw_layer_01_choice_then_00_axes,
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

static void mw_layer_01_choice_then_00(uint8_t *arena)
{
  mw_add_s8(
      (int8_t *)(void *)(arena + 0),
      (int8_t *)(void *)(arena + 0),
      mw_const_ramp,
      &mw_layer_01_choice_then_00_params,
      NULL);
}

/* 1: choice = if(bool[1], s8[1,4]) -> u8[8], 0 MACs, 16 constant bytes */
MW_LAYER void mw_layer_01_choice(uint8_t *arena)
{
  uint8_t *const out = arena + 96;
  uint8_t *const inner = arena + 40;
  if (*(arena + 80) != 0) {
    memcpy(inner + 0, arena + 72, 4);
    mw_layer_01_choice_then_00(inner);
    memcpy(out + 0, inner + 0, 4);
  } else {
    memcpy(inner + 0, arena + 72, 4);
    memcpy(out + 0, inner + 0, 4);
  }
}

/* 2: summed = add(s8[1,4], s8[1,4]) -> s8[1,4], 0 MACs, 12 constant bytes */
static const mw_sum_s8_params mw_layer_02_summed_params = {
  .rows = 1,
  .row = 4,
  .a_step = 1,
  .b_step = 1,
  .rank = 0,
  .axes = mw_layer_02_summed_axes,
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

MW_LAYER void mw_layer_02_summed(uint8_t *arena)
{
  mw_add_s8(
      (int8_t *)(void *)(arena + 24),
      (int8_t *)(void *)(arena + 24),
      (int8_t *)(void *)(arena + 96),
      &mw_layer_02_summed_params,
      NULL);
}

/* 0: twice = add(s8[1,4], s8[1,4]) -> s8[1,4], 0 MACs, 12 constant bytes */
static const mw_sum_s8_params mw_layer_03_loop_body_00_params = {
  .rows = 1,
  .row = 4,
  .a_step = 1,
  .b_step = 1,
  .rank = 0,
  .axes = mw_layer_03_loop_body_00_axes,
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

static void mw_layer_03_loop_body_00(uint8_t *arena)
{
  mw_add_s8(
      (int8_t *)(void *)(arena + 0),
      (int8_t *)(void *)(arena + 8),
      (int8_t *)(void *)(arena + 8),
      &mw_layer_03_loop_body_00_params,
      NULL);
}

/* 3: loop = while(bool[1], s8[1,4]) -> u8[16], 0 MACs, 13 constant bytes */
MW_LAYER void mw_layer_03_loop(uint8_t *arena)
{
  uint8_t *const out = arena + 40;
  uint8_t *const inner = arena + 56;
  memcpy(out + 0, arena + 80, 1);
  memcpy(out + 8, arena + 24, 4);
  for (;;) {
    memcpy(inner + 0, out + 0, 1);
    if (inner[0] == 0) {
      break;
    }
    memcpy(inner + 8, out + 8, 4);
    mw_layer_03_loop_body_00(inner);
    memcpy(inner + 8, mw_const_off, 1);
    memcpy(out + 0, inner + 8, 1);
    memcpy(out + 8, inner + 0, 4);
  }
}

/* 4: rows = concat(s8[3,4], s8[1,4]) -> s8[4,4], 0 MACs, 8 constant bytes */
static const mw_concat_params mw_layer_04_rows_params = {
  .count = 2,
  .rows = 1,
  .run_bytes = mw_layer_04_rows_run_bytes,
};

MW_LAYER void mw_layer_04_rows(uint8_t *arena)
{
  const void *const in[] = {(int8_t *)(void *)(arena + 0), (int8_t *)(void *)(arena + 96)};
  mw_concat(
      (int8_t *)(void *)(arena + 56),
      in,
      &mw_layer_04_rows_params,
      NULL);
}

/* 5: shifted = strided_slice(s8[4,4]) -> s8[3,4], 0 MACs, 12 constant bytes */
static const mw_strided_slice_params mw_layer_05_shifted_params = {
  .runs = 1,
  .run_bytes = 12,
  .rank = 0,
  .axes = mw_layer_05_shifted_axes,
  .in_offset = 4,
};

MW_LAYER void mw_layer_05_shifted(uint8_t *arena)
{
  mw_strided_slice(
      (int8_t *)(void *)(arena + 0),
      (int8_t *)(void *)(arena + 56),
      &mw_layer_05_shifted_params,
      NULL);
}

mw_status mw_model_init(mw_model *model, void *arena, size_t arena_bytes)
{
  if (arena == NULL || arena_bytes < MW_MODEL_ARENA_BYTES || ((uintptr_t)arena & 7u) != 0) {
    model->arena = NULL;
    return MW_BAD_ARENA;
  }
  model->arena = arena;
  model->input_frame = (int8_t *)(void *)(model->arena + 72);
  model->input_loud = (uint8_t *)(void *)(model->arena + 80);
  model->output_score = (int8_t *)(void *)(model->arena + 88);
  model->output_doubled = (int8_t *)(void *)(model->arena + 48);
  model->output_gain = (int8_t *)(void *)(model->arena + 80);
  return mw_model_reset(model);
}

mw_status mw_model_reset(mw_model *model)
{
  if (model->arena == NULL) {
    return MW_NOT_READY;
  }
  memset(model->arena + 0, 0, 20);
  memset(model->arena + 24, 253, 4);
  memcpy(model->arena + 32, mw_state_gain, 4);
  return MW_OK;
}

mw_status mw_model_run(mw_model *model)
{
  if (model->arena == NULL) {
    return MW_NOT_READY;
  }
  mw_layer_00_score(model->arena);
  mw_layer_01_choice(model->arena);
  mw_layer_02_summed(model->arena);
  mw_layer_03_loop(model->arena);
  mw_layer_04_rows(model->arena);
  mw_layer_05_shifted(model->arena);
  memcpy(model->arena + 80, model->arena + 32, 4);
  memcpy(model->arena + 32, model->arena + 16, 4);
  memcpy(model->arena + 16, model->arena + 72, 4);
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
