/* shift_in, any element type: a ring buffer that is read as one piece.
 *
 * out = the buffer less its first positions along an axis, then the fresh ones
 *
 * Layouts: row-major; `rows` rows of kept_bytes + fresh_bytes, of which the last fresh_bytes are
 * new. Ranges: all.
 * Workspace: none. In place: out may be the buffer. Rounding: none.
 * Source: Rybakov et al., "Streaming keyword spotting on mobile devices", Interspeech 2020.
 */
#include "mw.h"

void mw_shift_in(void *out, const void *buffer, const void *fresh,
                 const mw_shift_in_params *params, void *workspace) {
  uint8_t *to = out;
  const uint8_t *from = buffer, *in = fresh;
  int32_t kept = params->kept_bytes, added = params->fresh_bytes;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    memmove(to, from + added, (size_t)kept);
    mw_copy_bytes(to + kept, in, added);
    to += kept + added, from += kept + added, in += added;
  }
}
