/* logical_not.
 *
 * out[i] = 1 where in[i] is 0, else 0
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. In place: out may be in. Source:
 * TensorFlow Lite, LOGICAL_NOT.
 */
#include "mw.h"
#include "mw_each.h"

void mw_logical_not(uint8_t *out, const uint8_t *in, const mw_logical_not_params *params,
                    void *workspace) {
  (void)workspace;
  MW_EACH(*in == 0);
}
