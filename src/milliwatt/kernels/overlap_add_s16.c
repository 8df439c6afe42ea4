/* overlap_add: frames added with an overlap, s16.
 *
 * out = {done, tail'}: y[p] = tail[p] + sum_f in[f, p - f * step] over the frames that reach p;
 * done is y[0 .. frames * step), tail' what follows
 *
 * Layouts: in [rows,frames,frame], tail [rows,frame - step], out a bundle of [rows,frames * step]
 * and [rows,frame - step]. Ranges: 1 <= step < frame; saturates at every addition, oldest first.
 * Workspace: none. Out may not overlap an operand. Rounding: none.
 * Source: TensorFlow Lite Micro, signal/src/overlap_add.
 */
#include "mw.h"

void mw_overlap_add_s16(uint8_t *out, const int16_t *in, const int16_t *tail,
                        const mw_overlap_add_params *params, void *workspace) {
  int16_t *done = (int16_t *)(void *)out, *to = done + params->tail_offset;
  int16_t *last = done + params->end;
  int32_t frame = params->frame, step = params->step, rest = frame - step;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, tail += rest, in += params->frames * frame) {
    int32_t oldest = 0, newest = 0, total = params->frames * step + rest;
    for (int32_t i = 0; i < total; i++) {
      int32_t sum = i < rest ? tail[i] : 0;
      if (i - oldest * step >= frame) oldest++;
      if (i == (newest + 1) * step && newest < params->frames - 1) newest++;
      for (int32_t f = oldest; f <= newest; f++) {
        const int16_t *from = in + f * frame;
        int32_t p = i - f * step;
        sum = mw_bound_s32(sum + from[p], INT16_MIN, INT16_MAX);
      }
      int16_t *place = i < params->frames * step ? done++ : to++;
      *place = (int16_t)sum;
    }
  }
  int16_t *gap = (int16_t *)(void *)out + params->tail_offset;
  while (done < gap) *done++ = 0;
  while (to < last) *to++ = 0;
}
