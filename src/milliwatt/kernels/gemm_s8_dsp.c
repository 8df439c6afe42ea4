/* Products of two columns with packed int8 weights: out[j * next + o] =
 * requantize(bias[o] + sum_k column_j[k] * w[o,k]), j = 0, 1, for the DSP extension.
 *
 * Layouts: mw_gemm_dsp.h says how columns and weights are packed, and why a = (raw - b) / 256.
 * Ranges: |sum| < 2^23 of the even channels of pairs, < 2^30 of others, bias included (checked when
 * packing). Workspace: none. The output may not overlap the columns.
 * Rounding: TFLM's two, in one or two steps, proven equal when packing (compiler/rows/onestep.py).
 *
 * Inner loop, 4 channels x 2 columns: for two products 4 loads (5 cycles: neighbours pipeline),
 * 8 SMLAD and 2 SXTB16 make 16 MACs: 15 cycles, 0.94 a MAC. 8 sums, 2 pointers, 2 words of weights
 * and 2 of activations are all 14 registers, so what else is needed waits on the stack. Eight such
 * steps are unrolled (448 bytes; the flash's instruction cache is 1 KiB); a number of steps that is
 * no multiple of eight enters the loop in the middle. Around it 8 results take 70 cycles in one
 * step, 102 in two.
 */
#include "mw_gemm_dsp.h"

#if MW_HAS_DSP
/* All blocks of four channels of all pairs; returns what follows them in `packed`. On the stack:
 * 0 the columns, 4 bytes to the first product's weights, 8 where the loop is entered, 12 the
 * columns' end less flags (1: odd products, 2: two steps), 16 and 20 where results go, 24 the end
 * of the blocks, 28 their start, 32 bytes of a pair, 36 bytes from a pair's last results to the
 * next pair's, 40 pairs; the argument `pairs` is at 80. */
const int32_t *mw_gemm_blocks_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                                  const mw_gemm_dsp *shape, int32_t pairs);
__asm__(
    ".section .text.mw_gemm_blocks_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 2\n"
    ".global mw_gemm_blocks_dsp\n.type mw_gemm_blocks_dsp,%function\n.thumb_func\n"
    /* Two products: r6, r8 raw sums of the first pair of channels, by column, r7, r9 sums of its
     * channel B; r10, r12 and r11, lr those of the second pair. */
    ".macro mw_mac w0 w1 x y\n"
    "smlad r6,\\w0,\\x,r6\n smlad r8,\\w0,\\y,r8\n"
    "smlad r10,\\w1,\\x,r10\n smlad r12,\\w1,\\y,r12\n"
    "sxtb16 \\w0,\\w0\n sxtb16 \\w1,\\w1\n"
    "smlad r7,\\w0,\\x,r7\n smlad r9,\\w0,\\y,r9\n"
    "smlad r11,\\w1,\\x,r11\n smlad lr,\\w1,\\y,lr\n"
    ".endm\n"
    /* Results of a channel B; mw_high of a channel A, whose sums and offset are 256 fold. */
    ".macro mw_high a b f o\n"
    "smmla \\a,\\a,\\f,\\o\n smmla \\b,\\b,\\f,\\o\n"
    "ssat \\a,#8,\\a,asr #8\n ssat \\b,#8,\\b,asr #8\n"
    ".endm\n"
    ".macro mw_one a b f o\n"
    "smmla \\a,\\a,\\f,\\o\n smmla \\b,\\b,\\f,\\o\n ssat \\a,#8,\\a\n ssat \\b,#8,\\b\n"
    ".endm\n"
    /* Twice a sum in \a and \b; multiplier in r3, half in r4, right in r5. A sum's sign is that of
     * its scaled value wherever it matters. */
    ".macro mw_two a b t u\n"
    "add \\t,r4,\\a,asr #31\n add \\u,r4,\\b,asr #31\n"
    "smmlar \\a,\\a,r3,\\t\n smmlar \\b,\\b,r3,\\u\n"
    "asr \\a,\\a,r5\n asr \\b,\\b,r5\n ssat \\a,#8,\\a\n ssat \\b,#8,\\b\n"
    ".endm\n"
    "mw_gemm_blocks_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#44\n"
    "ldm r3,{r4-r7}\n"               /* products, steps, blocks, next */
    "lsr r9,r4,#1\n and r10,r9,#7\n" /* steps, those before the loop's first turn ends */
    "lsl r12,r10,#3\n add r11,r1,r12\n add r12,#16\n strd r11,r12,[sp]\n"
    "rsb r10,r10,#8\n and r10,#7\n mov r12,#56\n adr.w lr,1f\n mla lr,r10,r12,lr\n"
    "orr lr,#1\n and r10,r4,#1\n" /* the loop is Thumb code */
    "add r11,r1,r9,lsl #3\n sub r11,r11,r10\n sub r12,r5,#1\n sub r11,r11,r12,lsl #1\n"
    "strd lr,r11,[sp,#8]\n"
    "add r12,r9,r10\n lsl r12,#3\n str r12,[sp,#32]\n"
    "lsl r12,r7,#1\n sub r12,r12,r6,lsl #2\n str r12,[sp,#36]\n"
    "add r7,r0\n strd r0,r7,[sp,#16]\n"
    /* bytes of a block */
    "add r5,#2\n lsl r5,#4\n add r5,r5,r9,lsl #3\n add r5,r5,r10,lsl #2\n"
    "mla r6,r6,r5,r2\n strd r6,r2,[sp,#24]\n ldr r4,[sp,#80]\n str r4,[sp,#40]\n mov r1,r2\n"
    /* A block: r0 columns, r1 weights; both pointers are ahead of the loop by its missing steps. */
    "0: ldr r6,[r1]\n ldr r7,[r1,#4]\n ldr r10,[r1,#8]\n ldr r11,[r1,#12]\n"
    "ldr r0,[sp]\n ldr r2,[sp,#4]\n ldr r3,[sp,#8]\n"
    "mov r8,r6\n mov r9,r7\n mov r12,r10\n mov lr,r11\n add r1,r2\n bx r3\n"
    ".p2align 2\n"
    "1: ldr r2,[r1],#64\n ldr r3,[r1,#-60]\n ldr r4,[r0],#64\n ldr r5,[r0,#-60]\n"
    "mw_mac r2 r3 r4 r5\n"
    ".irp at,56,48,40,32,24,16,8\n"
    "ldr r2,[r1,#-\\at]\n ldr r3,[r1,#4-\\at]\n ldr r4,[r0,#-\\at]\n ldr r5,[r0,#4-\\at]\n"
    "mw_mac r2 r3 r4 r5\n"
    ".endr\n"
    "ldr r2,[sp,#12]\n subs r2,r0,r2\n blo 1b\n lsrs r2,r2,#1\n bcs 5f\n"
    "2: sub r6,r6,r7\n sub r8,r8,r9\n sub r10,r10,r11\n sub r12,r12,lr\n bne 4f\n"
    "ldr r0,[sp,#16]\n ldr r2,[sp,#20]\n ldr r3,[r1],#32\n ldr r4,[r1,#-28]\n"
    "mw_high r6 r8 r3 r4\n"
    "strb r6,[r0],#4\n strb r8,[r2],#4\n"
    "ldr r3,[r1,#-24]\n ldr r4,[r1,#-20]\n ldr r5,[r1,#-16]\n ldr r6,[r1,#-12]\n"
    "mw_one r7 r9 r3 r4\n mw_high r10 r12 r5 r6\n"
    "strb r7,[r0,#-3]\n strb r9,[r2,#-3]\n strb r10,[r0,#-2]\n strb r12,[r2,#-2]\n"
    "ldr r3,[r1,#-8]\n ldr r4,[r1,#-4]\n"
    "mw_one r11 lr r3 r4\n"
    "3: strb r11,[r0,#-1]\n strb lr,[r2,#-1]\n str r0,[sp,#16]\n str r2,[sp,#20]\n"
    "ldr r2,[sp,#24]\n cmp r1,r2\n bne 0b\n"
    "ldr r2,[sp,#40]\n subs r2,#1\n beq 6f\n"
    "str r2,[sp,#40]\n ldr r1,[sp,#28]\n ldr r3,[sp,#32]\n ldr r4,[sp]\n ldr r5,[sp,#12]\n"
    "ldr r6,[sp,#16]\n ldr r7,[sp,#20]\n ldr r8,[sp,#36]\n"
    "add r4,r3\n add r5,r3\n add r6,r8\n add r7,r8\n"
    "str r4,[sp]\n str r5,[sp,#12]\n str r6,[sp,#16]\n str r7,[sp,#20]\n b 0b\n"
    "6: mov r0,r1\n add sp,#44\n pop {r4-r11,pc}\n"
    "4: asr r6,#7\n asr r8,#7\n asr r10,#7\n asr r12,#7\n"
    "lsl r7,#1\n lsl r9,#1\n lsl r11,#1\n lsl lr,#1\n"
    "ldr r3,[r1],#48\n ldr r4,[r1,#-44]\n ldr r5,[r1,#-40]\n"
    "mw_two r6 r8 r0 r2\n"
    "ldr r0,[sp,#16]\n ldr r2,[sp,#20]\n strb r6,[r0],#4\n strb r8,[r2],#4\n"
    "ldr r3,[r1,#-36]\n ldr r4,[r1,#-32]\n ldr r5,[r1,#-28]\n"
    "mw_two r7 r9 r6 r8\n"
    "strb r7,[r0,#-3]\n strb r9,[r2,#-3]\n"
    "ldr r3,[r1,#-24]\n ldr r4,[r1,#-20]\n ldr r5,[r1,#-16]\n"
    "mw_two r10 r12 r6 r8\n"
    "strb r10,[r0,#-2]\n strb r12,[r2,#-2]\n"
    "ldr r3,[r1,#-12]\n ldr r4,[r1,#-8]\n ldr r5,[r1,#-4]\n"
    "mw_two r11 lr r6 r8\n b 3b\n"
    /* An odd product. The flags of "lsrs" stay. */
    "5: ldr r2,[r1],#4\n ldr r4,[r0]\n ldr r5,[r0,#4]\n"
    "smlabb r6,r2,r4,r6\n smlabb r8,r2,r5,r8\n smlatb r10,r2,r4,r10\n smlatb r12,r2,r5,r12\n"
    "sxtb16 r2,r2\n"
    "smlabb r7,r2,r4,r7\n smlabb r9,r2,r5,r9\n smlatb r11,r2,r4,r11\n smlatb lr,r2,r5,lr\n"
    "b 2b\n"
    ".purgem mw_mac\n.purgem mw_high\n.purgem mw_one\n.purgem mw_two\n"
    ".size mw_gemm_blocks_dsp,.-mw_gemm_blocks_dsp\n.text\n");
#endif

static int8_t requantized(int32_t acc, const int32_t *c, int32_t steps) {
  return (int8_t)(steps == 1 ? mw_one_step(acc, c[0], c[1]) : mw_two_step(acc, c[0], c[1], c[2]));
}

/* The same of a channel A, from 256 times its sum. */
static int8_t requantized_high(int32_t acc, const int32_t *c, int32_t steps) {
  if (steps == 1) return (int8_t)mw_ssat8(mw_smmla(acc, c[0], c[1]) >> 8);
  return (int8_t)mw_two_step(acc >> 8, c[0], c[1], c[2]);
}

/* One pair of channels; `odd` is the halfword of an odd product's weights. Returns what follows its
 * constants. */
static const int32_t *pair(int8_t *out, const uint32_t *x, const int32_t *init,
                           const int32_t *weights, int32_t stride, int32_t odd,
                           const int32_t *constants, const mw_gemm_dsp *s) {
  int32_t raw[2] = {init[0], init[0]}, low[2] = {init[1], init[1]};
  MW_ROLLED
  for (int32_t n = s->products >> 1; n > 0; n--, x += 2, weights += stride) {
    uint32_t w = (uint32_t)*weights, b = mw_sxtb16(w);
    raw[0] = mw_smlad(w, x[0], raw[0]), raw[1] = mw_smlad(w, x[1], raw[1]);
    low[0] = mw_smlad(b, x[0], low[0]), low[1] = mw_smlad(b, x[1], low[1]);
  }
  for (int32_t j = 0; j < 2; j++) {
    if (s->products & 1) {
      raw[j] = mw_smlabb((uint32_t)odd, x[j], raw[j]);
      low[j] = mw_smlabb((uint32_t)(int8_t)odd, x[j], low[j]);
    }
    int32_t high = (int32_t)((uint32_t)raw[j] - (uint32_t)low[j]);
    out[j * s->next] = requantized_high(high, constants, s->steps);
    out[j * s->next + 1] = requantized(low[j], constants + s->steps + 1, s->steps);
  }
  return constants + 2 * (s->steps + 1);
}

#if !MW_HAS_DSP
static const int32_t *mw_gemm_blocks_dsp(int8_t *out, const uint32_t *columns,
                                         const int32_t *packed, const mw_gemm_dsp *s,
                                         int32_t pairs) {
  const int32_t *end = packed;
  for (; pairs > 0; pairs--, out += 2 * s->next, columns += mw_pair_words(s->products)) {
    end = packed;
    for (int32_t block = 0; block < s->blocks; block++) {
      const int32_t *weights = end + 4, *odd = weights + 2 * (s->products >> 1);
      const int32_t *constants = odd + (s->products & 1);
      constants = pair(out + 4 * block, columns, end, weights, 2, *odd, constants, s);
      end = pair(out + 4 * block + 2, columns, end + 2, weights + 1, 2, *odd >> 16, constants, s);
    }
  }
  return end;
}
#endif

/* The last channel of an odd number: its weights are plain bytes. */
static void last(int8_t *out, const uint32_t *x, const int32_t *packed, const mw_gemm_dsp *s) {
  int32_t n = s->products, sum[2] = {packed[0], packed[0]};
  packed++;
  MW_ROLLED
  for (; n >= 4; n -= 4, x += 4, packed++) {
    uint32_t even = mw_sxtb16((uint32_t)*packed), odd = mw_sxtb16_ror8((uint32_t)*packed);
    sum[0] = mw_smlad(odd, x[2], mw_smlad(even, x[0], sum[0]));
    sum[1] = mw_smlad(odd, x[3], mw_smlad(even, x[1], sum[1]));
  }
  if (n) {
    uint32_t even = mw_sxtb16((uint32_t)*packed), odd = mw_sxtb16_ror8((uint32_t)*packed);
    packed++;
    for (int32_t j = 0; j < 2; j++) {
      sum[j] = n > 1 ? mw_smlad(even, x[j], sum[j]) : mw_smlabb(even, x[j], sum[j]);
      if (n > 2) sum[j] = mw_smlabb(odd, x[j + 2], sum[j]);
    }
  }
  out[0] = requantized(sum[0], packed, s->steps);
  out[s->next] = requantized(sum[1], packed, s->steps);
}

void mw_gemm_s8_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                    const mw_gemm_dsp *shape, int32_t pairs) {
  if (shape->blocks) packed = mw_gemm_blocks_dsp(out, columns, packed, shape, pairs);
  if (!shape->rest) return;
  out += 4 * shape->blocks;
  for (; pairs > 0; pairs--, out += 2 * shape->next, columns += mw_pair_words(shape->products)) {
    const int32_t *end = packed;
    if (shape->rest & 2) {
      const int32_t *odd = end + 2 + (shape->products >> 1);
      const int32_t *constants = odd + (shape->products & 1);
      end = pair(out, columns, end, end + 2, 1, *odd, constants, shape);
    }
    if (shape->rest & 1) last(out + (shape->rest & 2), columns, end, shape);
  }
}
