/* select with broadcasting, any element type.
 *
 * out = a where condition, else b
 *
 * Layouts: row-major, three shapes broadcast as in NumPy: `rows` rows of `row` elements of `bytes`
 * bytes each, that lie condition_step, a_step and b_step (0 or 1) apart. Ranges: bytes is 1, 2, 4
 * or 8. Workspace: none. In place: out may be an operand of out's own type. Source: TensorFlow
 * Lite, SELECT and SELECT_V2.
 */
#include "mw.h"
#include "mw_walk.h"

/* One row; for elements as wide as `kind`, which memcpy moves in one load and one store. */
#define MW_SELECT_ROW(width)                                                 \
  for (int32_t left = params->row; left > 0; left--, to += (width)) {        \
    const uint8_t *from = *choice ? x : y;                                   \
    uint8_t one[width];                                                      \
    memcpy(one, from, (width));                                              \
    memcpy(to, one, (width));                                                \
    choice += params->condition_step;                                        \
    x += params->a_step * (width), y += params->b_step * (width);            \
  }

void mw_select(void *out, const uint8_t *condition, const void *a, const void *b,
               const mw_select_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}}, at_b = {0, 0, {0}};
  uint8_t *to = out;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    const uint8_t *choice = condition + at.a;
    const uint8_t *x = (const uint8_t *)a + at.b * params->bytes;
    const uint8_t *y = (const uint8_t *)b + at_b.a * params->bytes;
    switch (params->bytes) {
      case 1: MW_SELECT_ROW(1) break;
      case 2: MW_SELECT_ROW(2) break;
      case 4: MW_SELECT_ROW(4) break;
      default: MW_SELECT_ROW(8) break;
    }
    mw_walk_next(&at, params->axes, params->rank);
    mw_walk_next(&at_b, params->b_axes, params->rank);
  }
}
