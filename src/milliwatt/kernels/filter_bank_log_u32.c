/* filter_bank_log: natural logarithm in fixed point, u32 to s16.
 *
 * out[i] = min(ln(x) * output_scale, 32767) with x = in[i] << correction_bits, 0 for x < 2
 *
 * log2 is the number of bits, the fraction below the highest, and what a table of 128 segments
 * with straight lines between says is missing, in 16 bits each.
 *
 * Layouts: in and out [size]. Ranges: x and the scaled result modulo 2^32. Workspace: none. Out
 * may not overlap in. Rounding: the line down, the products to nearest.
 * Source: TensorFlow Lite Micro, signal/src/log and filter_bank_log.
 */
#include "mw.h"
#include "mw_bits.h"

static uint32_t mw_log_u32(uint32_t x, const int16_t *table) {
  int32_t whole = mw_bit_length_u32(x) - 1;
  uint32_t above = x - (1u << whole);
  int32_t part = (int32_t)(whole < 16 ? above << (16 - whole) : above >> (whole - 16));
  const int16_t *segment = table + (part >> 9);
  int32_t rise = ((segment[1] - segment[0]) * (part & 511)) >> 16;
  uint32_t log2 = ((uint32_t)whole << 16) + (uint32_t)(part + segment[0] + rise);
  return (uint32_t)(((uint64_t)45426 * log2 + (1 << 15)) >> 16); /* 45426 = ln 2 */
}

void mw_filter_bank_log_u32(int16_t *out, const uint32_t *in,
                            const mw_filter_bank_log_params *params, void *workspace) {
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) {
    uint32_t x = in[i] << params->correction_bits, value = 0;
    if (x > 1) {
      value = (uint32_t)params->output_scale * mw_log_u32(x, params->table) + (1 << 15);
      value >>= 16;
    }
    out[i] = (int16_t)(value < INT16_MAX ? value : INT16_MAX);
  }
}
