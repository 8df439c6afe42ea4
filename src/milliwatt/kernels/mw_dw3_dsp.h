/* What the 3 x 3 loops of stride 1 and 2 share: the frame of their assembly, their C twin.
 *
 * Assembly functions have the arguments of mw_plane_kernel. Results of a line are made `many` at a
 * time (label 2), the rest two at a time (label 4). Their frame:
 *   0 to 20   weight words of kernel lines 0, 1, 2: (w0, w1) and (w1, w2) of each
 *   24        bias, 28 factor, 32 offset
 *   36        where the next result goes, 40 bytes from result to result
 *   44        where the results of this line that are made many at a time end
 *   48, 52    from the end of a line to the next, in the buffer and in the output
 *   56        first result behind the lines
 *   60        bytes of the results of a line that are made many at a time
 *   64        how many are left of a line
 *   68, 72    buffer and first result of the channel; 76, 80 weights and record of the next
 *   84        channels left; 88 bytes from channel to channel of the buffer; 92 of all output lines
 */
#ifndef MW_DW3_DSP_H
#define MW_DW3_DSP_H

#include "mw_plane_dsp.h"

#if MW_HAS_DSP
/* `many` and `stride` are constants. */
#define MW_DW3_ENTER(name, many, stride)           \
  ".syntax unified\n"                              \
  ".thumb\n"                                       \
  ".pushsection .text." name ",\"ax\",%progbits\n" \
  ".balign 32\n"                                   \
  ".type " name ", %function\n"                    \
  ".thumb_func\n"                                  \
  name ":\n"                                       \
  "push {r4-r11, lr}\n"                            \
  "sub sp, sp, #100\n"                             \
  "ldr r4, [sp, #136]\n"                           \
  "strd r2, r3, [sp, #76]\n"                       \
  "ldm r4, {r5-r11}\n"                             \
  "movs r4, #" many "\n"                           \
  "udiv r2, r9, r4\n"                              \
  "mls r3, r2, r4, r9\n"                           \
  "mul r2, r2, r4\n"                               \
  "add r9, r3, r2\n"                               \
  "add r9, r9, #1\n"                               \
  "bic r9, r9, #1\n"                               \
  "mls r12, r9, r7, r8\n"                          \
  "sub r9, r6, r9, lsl #1\n"                       \
  "movs r4, #" stride "\n"                         \
  "mul r9, r9, r4\n"                               \
  "mul r2, r2, r7\n"                               \
  "mul r5, r5, r8\n"                               \
  "strd r10, r11, [sp, #84]\n"                     \
  "str r5, [sp, #92]\n"                            \
  "str r7, [sp, #40]\n"                            \
  "strd r9, r12, [sp, #48]\n"                      \
  "strd r2, r3, [sp, #60]\n"                       \
  "strd r1, r0, [sp, #68]\n"                       \
  "mov r1, r6\n"                                   \
  "0:\n"                                           \
  "ldr r2, [sp, #76]\n"                            \
  "ldr r3, [sp, #80]\n"                            \
  "ldrsb r4, [r2]\n"                               \
  "ldrsb r5, [r2, #1]\n"                           \
  "ldrsb r6, [r2, #2]\n"                           \
  "ldrsb r7, [r2, #3]\n"                           \
  "ldrsb r8, [r2, #4]\n"                           \
  "ldrsb r9, [r2, #5]\n"                           \
  "ldrsb r10, [r2, #6]\n"                          \
  "ldrsb r11, [r2, #7]\n"                          \
  "ldrsb r12, [r2, #8]\n"                          \
  "pkhbt r4, r4, r5, lsl #16\n"                    \
  "pkhbt r5, r5, r6, lsl #16\n"                    \
  "pkhbt r6, r7, r8, lsl #16\n"                    \
  "pkhbt r7, r8, r9, lsl #16\n"                    \
  "pkhbt r8, r10, r11, lsl #16\n"                  \
  "pkhbt r9, r11, r12, lsl #16\n"                  \
  "ldm r3, {r10-r12}\n"                            \
  "stm sp, {r4-r12}\n"                             \
  "adds r2, r2, #9\n"                              \
  "adds r3, r3, #16\n"                             \
  "ldr r0, [sp, #68]\n"                            \
  "ldr r4, [sp, #72]\n"                            \
  "ldr r5, [sp, #88]\n"                            \
  "ldr r6, [sp, #92]\n"                            \
  "add r5, r5, r0\n"                               \
  "add r6, r6, r4\n"                               \
  "str r2, [sp, #76]\n"                            \
  "str r3, [sp, #80]\n"                            \
  "str r5, [sp, #68]\n"                            \
  "str r6, [sp, #56]\n"                            \
  "adds r7, r4, #1\n"                              \
  "str r7, [sp, #72]\n"                            \
  "1:\n"                                           \
  "ldr r5, [sp, #60]\n"                            \
  "add r5, r5, r4\n"                               \
  "str r4, [sp, #36]\n"                            \
  "str r5, [sp, #44]\n"                            \
  "cmp r5, r4\n"                                   \
  "beq 3f\n"

/* Between many at a time and two at a time: r6, r7, r10, r11 and lr are the latter's constants.
 * `one` may branch where a single result is left. */
#define MW_DW3_REST(one) \
  "3:\n"                 \
  "ldr r12, [sp, #64]\n" \
  "cmp r12, #1\n"        \
  "blt 5f\n"             \
  one                    \
  "ldr r6, [sp, #36]\n"  \
  "ldr r7, [sp, #40]\n"  \
  "ldr r10, [sp, #28]\n" \
  "ldr r11, [sp, #32]\n" \
  "ldr lr, [sp, #24]\n"  \
  "4:\n"

/* The two sums in r8 and r9 become results; r12 counts them down. */
#define MW_DW3_TWO_RESULTS   \
  "smmla r8, r8, r10, r11\n" \
  "smmla r9, r9, r10, r11\n" \
  "ssat r8, #8, r8\n"        \
  "ssat r9, #8, r9\n"        \
  "subs r12, r12, #2\n"      \
  "strb r8, [r6]\n"          \
  "it ge\n"                  \
  "strbge r9, [r6, r7]\n"    \
  "add r6, r6, r7, lsl #1\n" \
  "bgt 4b\n"                 \
  "str r6, [sp, #36]\n"

#define MW_DW3_LEAVE(name)         \
  "5:\n"                           \
  "ldr r4, [sp, #36]\n"            \
  "ldr r5, [sp, #48]\n"            \
  "ldr r6, [sp, #52]\n"            \
  "ldr r7, [sp, #56]\n"            \
  "add r0, r0, r5\n"               \
  "add r4, r4, r6\n"               \
  "cmp r4, r7\n"                   \
  "bne 1b\n"                       \
  "ldr r5, [sp, #84]\n"            \
  "subs r5, r5, #1\n"              \
  "str r5, [sp, #84]\n"            \
  "bne 0b\n"                       \
  "add sp, sp, #100\n"             \
  "pop {r4-r11, pc}\n"             \
  ".size " name ", . - " name "\n" \
  ".popsection\n"
#else
/* The same in C; windows start `stride` elements apart. */
static inline void mw_dw3_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                                const int32_t *record, const mw_plane_run *run, int32_t stride) {
  for (int32_t c = 0; c < run->channels; c++, weights += 9, record += 4) {
    for (int32_t i = 0; i < run->lines * run->count; i++) {
      int32_t line = i / run->count, at = i % run->count;
      int32_t from = c * run->line_bytes + line * stride * run->pitch;
      const int16_t *x = plane + from / 2 + at * stride;
      int32_t acc = record[0];
      for (int32_t k = 0; k < 9; k += 3, x += run->pitch / 2) {
        acc += x[0] * weights[k] + x[1] * weights[k + 1] + x[2] * weights[k + 2];
      }
      out[line * run->line + at * run->step + c] = (int8_t)mw_one_step(acc, record[1], record[2]);
    }
  }
}
#endif

#endif
