#include "mw_weights.h"

/* score: out_axes */
const int32_t mw_layer_00_score_out_axes[3] = {
  4, 1, 0
};

/* score: in_axes */
const int32_t mw_layer_00_score_in_axes[3] = {
  0, 0, 0
};

/* raised: axes */
const int32_t mw_layer_01_choice_then_00_axes[3] = {
  0, 0, 0
};

/* summed: axes */
const int32_t mw_layer_02_summed_axes[3] = {
  0, 0, 0
};

/* twice: axes */
const int32_t mw_layer_03_loop_body_00_axes[3] = {
  0, 0, 0
};

/* rows: run_bytes */
const int32_t mw_layer_04_rows_run_bytes[2] = {
  12, 4
};

/* shifted: axes */
const int32_t mw_layer_05_shifted_axes[3] = {
  0, 0, 0
};

/* ramp */
const int8_t mw_const_ramp[4] = {
  0, 8, 16, 24
};

/* off */
const uint8_t mw_const_off[1] = {
  0
};

/* gain: first value */
const int8_t mw_state_gain[4] = {
  1, 2, 3, 4
};
