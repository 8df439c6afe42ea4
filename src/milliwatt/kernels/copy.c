/* copy: reshape where input and output do not share a buffer; any element type.
 *
 * out = in
 *
 * Layouts: any. Ranges: all. Workspace: none. In place: out and in must not overlap.
 */
#include "mw.h"

void mw_copy(void *out, const void *in, const mw_copy_params *params, void *workspace) {
  (void)workspace;
  memcpy(out, in, (size_t)params->bytes);
}
