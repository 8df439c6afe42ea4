/* add and sub with broadcasting, s8, with the DSP extension.
 *
 * out = clamp(saturate8(start + (a * a_factor >> 8) + (b * b_factor >> 8) >> 20)), or with one step
 * more at the zero of the sum; see mw_linear_dsp.h.
 *
 * Layouts: row-major, shapes broadcast as in NumPy; innermost both operands advance.
 * Ranges: factors and sums stay in 32 bits, and every pair of bytes gives what add_s8 and sub_s8
 * give (both proven when packing, compiler/rows/linear.py).
 * Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: none of its own; the plane lies between the results of TFLM's three roundings.
 * Source: TensorFlow Lite 8-bit specification, ADD.
 */
#include "mw_linear_dsp.h"
#include "mw_walk.h"

void mw_add_s8_dsp(int8_t *out, const int8_t *a, const int8_t *b,
                   const mw_add_s8_dsp_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t row = params->row;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--, out += row) {
    mw_linear_row(out, a + at.a, b + at.b, &params->linear, row);
    mw_bound_bytes(out, row, params->clamp_min, params->clamp_max);
    mw_walk_next(&at, params->axes, params->rank);
  }
}
