/* gather and gather_nd, any element type.
 *
 * out[b, o, n] = the run of in[b, o] at sum over k of indices[b, n, k] * stride_k
 *
 * Layouts: in [batches, outer, block], indices [batches, count, depth] s32 or s64,
 * out [batches, outer, count, run], row-major. Ranges: an index outside its axis is moved to the
 * nearest end: nothing outside `in` is ever read. Workspace: none. Out may not overlap an operand.
 * Rounding: none. Source: TensorFlow Lite, GATHER, GATHER_ND and EMBEDDING_LOOKUP, which leave such
 * an index undefined or stop there.
 */
#include "mw.h"
#include "mw_index.h"

void mw_gather(void *out, const void *in, const void *indices, const mw_gather_params *params,
               void *workspace) {
  int32_t count = params->count, depth = params->depth, run = params->run_bytes;
  const uint8_t *block = in;
  uint8_t *to = out;
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++) {
    for (int32_t outer = params->outer; outer > 0; outer--, block += params->block_bytes) {
      int32_t at = batch * count * depth;
      for (int32_t n = 0; n < count; n++, to += run) {
        const uint8_t *from = block;
        for (int32_t k = 0; k < depth; k++, at++) {
          const int32_t *axis = params->axes + 2 * k;
          from += mw_index(indices, params->index_bytes, at, axis[0] - 1) * axis[1];
        }
        mw_copy_bytes(to, from, run);
      }
    }
  }
}
