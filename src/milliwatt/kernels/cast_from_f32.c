/* cast from f32.
 *
 * out[i] = in[i] without its fraction, bounded to the result's type; of bool whether in[i] is not 0
 *
 * Layouts: any, element by element; `to` is a kind of mw_cast.h. Ranges: all; NaN gives 0.
 * Rounding: towards 0. Workspace: none. Source: TensorFlow Lite, CAST.
 */
#include "mw.h"
#include "mw_cast.h"

/* Bounded first: C leaves open what becomes of a number that its type cannot hold. */
static int64_t mw_whole_of_f32(float x, int32_t to, int32_t low, int32_t high) {
  if (to == MW_KIND_BOOL) return x != 0.0f;
  if (x != x) return 0;
  if (to == MW_KIND_U32) {
    if (x <= 0.0f) return 0;
    return x < 4294967296.0f ? (int64_t)(uint32_t)x : (int64_t)UINT32_MAX;
  }
  if (x >= -2147483648.0f && x < 2147483648.0f) return mw_bound_s32((int32_t)x, low, high);
  if (to != MW_KIND_S64) return x < 0.0f ? low : high;
  if (x >= -9223372036854775808.0f && x < 9223372036854775808.0f) return (int64_t)x;
  return x < 0.0f ? INT64_MIN : INT64_MAX;
}

void mw_cast_from_f32(void *out, const float *in, const mw_cast_params *params, void *workspace) {
  int32_t to = params->to, low = INT32_MIN, high = INT32_MAX;
  if (to == MW_KIND_S8) low = INT8_MIN, high = INT8_MAX;
  if (to == MW_KIND_S16) low = INT16_MIN, high = INT16_MAX;
  if (to == MW_KIND_U8) low = 0, high = UINT8_MAX;
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) {
    mw_cast_store(out, i, to, mw_whole_of_f32(in[i], to, low, high));
  }
}
