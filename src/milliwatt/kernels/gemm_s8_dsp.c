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
 * and 2 of activations are all 14 registers, so what else is needed waits on the stack. In one step
 * 16 such steps of 48 bytes are unrolled: with the rest of a block they just fit the flash's
 * instruction cache of 1 KiB. In two, which is rarer, 8, for a smaller image. A number of steps
 * that is no multiple enters the loop in the middle. A turn of the loop takes 5 cycles beside its
 * steps; with one turn 8 results take 64 around it in one step, 93 in two.
 * Of channels left over, two take 12 cycles for 8 MACs, the last one of an odd number 15.
 */
#include "mw_gemm_dsp.h"

#if MW_HAS_DSP
/* All blocks of four channels of all pairs; returns what follows them in `packed`. One function for
 * each number of steps of a requantization. On the stack: 0 columns and 4 bytes from a block to its
 * weights, less the loop's missing steps; 8 where the loop is entered, 12 its last two columns'
 * words, 16 where results go, 20 bytes to the second column's, 24 the last block, 28 the one before
 * the first, 32 bytes of a pair, 36 bytes from a pair's last results to the next pair's, 40 pairs;
 * the caller's are at 80.
 * A block is told by an address RECORDS bytes before it: that of the one before's last weights. */
const int32_t *mw_gemm_one_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                               const mw_gemm_dsp *shape, int32_t pairs);
const int32_t *mw_gemm_two_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                               const mw_gemm_dsp *shape, int32_t pairs);
/* Two products: r6, r8 raw sums of the first pair of channels, by column, r7, r9 sums of its
 * channel B; r10, r12 and r11, lr those of the second pair. */
#define MAC                                         \
  "smlad r6,r2,r4,r6\n smlad r8,r2,r5,r8\n"         \
  "smlad r10,r3,r4,r10\n smlad r12,r3,r5,r12\n"     \
  "sxtb16 r2,r2\n sxtb16 r3,r3\n"                   \
  "smlad r7,r2,r4,r7\n smlad r9,r2,r5,r9\n"         \
  "smlad r11,r3,r4,r11\n smlad lr,r3,r5,lr\n"
#define GEMM(NAME, STEPS, OFFSETS, RECORDS, REQUANTIZE)                                           \
  __asm__(                                                                                        \
      ".section .text." NAME ",\"ax\",%progbits\n"                                                \
      ".syntax unified\n.thumb\n.p2align 5\n"                                                     \
      ".global " NAME "\n.type " NAME ",%function\n.thumb_func\n"                                 \
      NAME ":\n push {r4-r11,lr}\n sub sp,#44\n"                                                  \
      "ldm r3,{r4-r7}\n" /* products, steps, blocks, next */                                      \
      "lsl r8,r4,#2\n str r8,[sp,#32]\n add r9,r8,#" RECORDS "+8\n" /* bytes of a block */        \
      "lsr r4,#1\n mov r10,#" STEPS "\n udiv r5,r4,r10\n mls r5,r5,r10,r4\n"                      \
      "cbz r5,7f\n sub r5,r10,r5\n" /* missing steps */                                           \
      "7: lsl r10,r5,#3\n rsb r11,r10,#" RECORDS "+8\n sub r1,#8\n add r8,r1\n str r8,[sp,#12]\n" \
      "sub r1,r10\n strd r1,r11,[sp]\n"                                                           \
      "adr.w r11,1f\n add r5,r5,r5,lsl #1\n add r11,r11,r5,lsl #4\n"                              \
      "orr r11,#1\n str r11,[sp,#8]\n" /* the loop is Thumb code */                               \
      "strd r0,r7,[sp,#16]\n lsl r7,#1\n sub r7,r7,r6,lsl #2\n ldr r4,[sp,#80]\n"                 \
      "strd r7,r4,[sp,#36]\n"                                                                     \
      "sub r1,r2,#" RECORDS "\n mla r6,r6,r9,r1\n strd r6,r1,[sp,#24]\n"                          \
      /* A block: r0 columns, r1 weights. */                                                      \
      "0: ldr r0,[sp]\n ldr r2,[sp,#4]\n ldr r3,[sp,#8]\n ldr r6,[r1,#" RECORDS "]\n"             \
      "ldr r7,[r1,#" RECORDS "+4]\n ldr r10,[r1,#" RECORDS "+8]\n ldr r11,[r1,#" RECORDS "+12]\n" \
      "mov r8,r6\n mov r9,r7\n mov r12,r10\n mov lr,r11\n add r1,r2\n bx r3\n"                    \
      ".p2align 2\n1:\n"                                                                          \
      ".irp at," OFFSETS "\n"                                                                     \
      "ldr r2,[r1,#\\at]\n ldr r3,[r1,#\\at+4]\n ldr r4,[r0,#\\at]\n ldr r5,[r0,#\\at+4]\n"       \
      MAC ".endr\n"                                                                               \
      "ldr r2,[r1,#8*" STEPS "]!\n ldr r3,[r1,#4]\n ldr r4,[r0,#8*" STEPS "]!\n ldr r5,[r0,#4]\n" \
      MAC "ldr r2,[sp,#12]\n cmp r0,r2\n blo 1b\n"                                                \
      "sub r6,r6,r7\n sub r8,r8,r9\n sub r10,r10,r11\n sub r12,r12,lr\n"                          \
      REQUANTIZE                                                                                  \
      "ldr r3,[sp,#20]\n ldr r2,[sp,#16]\n ldr r4,[sp,#24]\n"                                     \
      "strb r8,[r2,r3]\n strb r6,[r2],#1\n strb r9,[r2,r3]\n strb r7,[r2],#1\n"                   \
      "strb r12,[r2,r3]\n strb r10,[r2],#1\n strb lr,[r2,r3]\n strb r11,[r2],#1\n"                \
      "str r2,[sp,#16]\n cmp r1,r4\n bne 0b\n"                                                    \
      /* The next pair. */                                                                        \
      "ldr r3,[sp,#36]\n ldr r4,[sp,#40]\n ldr r5,[sp,#32]\n ldr r6,[sp]\n ldr r7,[sp,#12]\n"     \
      "add r2,r3\n add r6,r5\n add r7,r5\n subs r4,#1\n beq 6f\n"                                 \
      "ldr r1,[sp,#28]\n str r2,[sp,#16]\n str r4,[sp,#40]\n str r6,[sp]\n str r7,[sp,#12]\n"     \
      "b 0b\n"                                                                                    \
      "6: add r0,r1,#" RECORDS "\n add sp,#44\n pop {r4-r11,pc}\n"                                \
      ".size " NAME ",.-" NAME "\n.text\n")
/* Channels A have sums and offsets that are 256 fold. */
GEMM("mw_gemm_one_dsp", "16", "8,16,24,32,40,48,56,64,72,80,88,96,104,112,120", "40",
     "ldr r2,[r1,#8]\n ldr r3,[r1,#12]\n ldr r4,[r1,#16]\n ldr r5,[r1,#20]\n"
     "smmla r6,r6,r2,r3\n smmla r8,r8,r2,r3\n smmla r7,r7,r4,r5\n smmla r9,r9,r4,r5\n"
     "ldr r2,[r1,#24]\n ldr r3,[r1,#28]\n ldr r4,[r1,#32]\n ldr r5,[r1,#36]\n"
     "smmla r10,r10,r2,r3\n smmla r12,r12,r2,r3\n smmla r11,r11,r4,r5\n smmla lr,lr,r4,r5\n"
     "ssat r6,#8,r6,asr #8\n ssat r8,#8,r8,asr #8\n ssat r7,#8,r7\n ssat r9,#8,r9\n"
     "ssat r10,#8,r10,asr #8\n ssat r12,#8,r12,asr #8\n ssat r11,#8,r11\n ssat lr,#8,lr\n");
/* Twice a sum in a and b; multiplier in r3, half in r4, right in r5. A sum's sign is that of its
 * scaled value wherever it matters. */
#define TWO(a, b, at)                                                                   \
  "ldr r3,[r1,#" #at "]\n ldr r4,[r1,#" #at "+4]\n ldr r5,[r1,#" #at "+8]\n"            \
  "add r0,r4," #a ",asr #31\n add r2,r4," #b ",asr #31\n"                               \
  "smmlar " #a "," #a ",r3,r0\n smmlar " #b "," #b ",r3,r2\n"                           \
  "asr " #a "," #a ",r5\n asr " #b "," #b ",r5\n ssat " #a ",#8," #a "\n ssat " #b ",#8," #b "\n"
GEMM("mw_gemm_two_dsp", "8", "8,16,24,32,40,48,56", "56",
     "asr r6,#7\n asr r8,#7\n asr r10,#7\n asr r12,#7\n"
     "lsl r7,#1\n lsl r9,#1\n lsl r11,#1\n lsl lr,#1\n"
     TWO(r6, r8, 8) TWO(r7, r9, 20) TWO(r10, r12, 32) TWO(r11, lr, 44));
#undef MAC
#undef GEMM
#undef TWO

static const int32_t *mw_gemm_blocks_dsp(int8_t *out, const uint32_t *columns,
                                         const int32_t *packed, const mw_gemm_dsp *shape,
                                         int32_t pairs) {
  if (shape->steps == 1) return mw_gemm_one_dsp(out, columns, packed, shape, pairs);
  return mw_gemm_two_dsp(out, columns, packed, shape, pairs);
}
#endif

static int8_t requantized(int32_t acc, const int32_t *c, int32_t steps) {
  return (int8_t)(steps == 1 ? mw_one_step(acc, c[0], c[1]) : mw_two_step(acc, c[0], c[1], c[2]));
}

/* The same of a channel A, from 256 times its sum. */
static int8_t requantized_high(int32_t acc, const int32_t *c, int32_t steps) {
  if (steps == 1) return (int8_t)mw_ssat8(mw_smmla(acc, c[0], c[1]) >> 8);
  return (int8_t)mw_two_step(acc >> 8, c[0], c[1], c[2]);
}

/* acc + 256 fold and plain products of a pair of channels with two columns; n at least 1. */
static void mac_pair(int32_t *raw, int32_t *low, const uint32_t *x, const int32_t *w,
                     int32_t stride, int32_t n) {
#if MW_HAS_DSP
  int32_t a = raw[0], b = raw[1], c = low[0], d = low[1], e, f, g;
  (void)stride;
  __asm__ volatile(
      "1: ldr %4,[%8],#4\n ldr %5,[%7],#8\n ldr %6,[%7,#-4]\n"
      "smlad %0,%4,%5,%0\n smlad %1,%4,%6,%1\n sxtb16 %4,%4\n"
      "smlad %2,%4,%5,%2\n smlad %3,%4,%6,%3\n subs %9,#1\n bne 1b"
      : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "=&r"(e), "=&r"(f), "=&r"(g), "+r"(x), "+r"(w), "+r"(n)
      :
      : "cc", "memory");
  raw[0] = a, raw[1] = b, low[0] = c, low[1] = d;
#else
  for (; n > 0; n--, x += 2, w += stride) {
    uint32_t both = (uint32_t)*w, odd = mw_sxtb16(both);
    raw[0] = mw_smlad(both, x[0], raw[0]), raw[1] = mw_smlad(both, x[1], raw[1]);
    low[0] = mw_smlad(odd, x[0], low[0]), low[1] = mw_smlad(odd, x[1], low[1]);
  }
#endif
}

/* One pair of channels. Returns what follows its constants. */
static const int32_t *pair(int8_t *out, const uint32_t *x, const int32_t *init,
                           const int32_t *weights, int32_t stride, const int32_t *constants,
                           const mw_gemm_dsp *s) {
  int32_t raw[2] = {init[0], init[0]}, low[2] = {init[1], init[1]}, steps = s->steps;
  mac_pair(raw, low, x, weights, stride, s->products >> 1);
  int8_t *other = out + s->next;
  out[0] = requantized_high((int32_t)((uint32_t)raw[0] - (uint32_t)low[0]), constants, steps);
  other[0] = requantized_high((int32_t)((uint32_t)raw[1] - (uint32_t)low[1]), constants, steps);
  constants += steps + 1;
  out[1] = requantized(low[0], constants, steps);
  other[1] = requantized(low[1], constants, steps);
  return constants + steps + 1;
}

#if !MW_HAS_DSP
static const int32_t *mw_gemm_blocks_dsp(int8_t *out, const uint32_t *columns,
                                         const int32_t *packed, const mw_gemm_dsp *s,
                                         int32_t pairs) {
  const int32_t *end = packed;
  for (; pairs > 0; pairs--, out += 2 * s->next, columns += s->products) {
    end = packed;
    for (int32_t block = 0; block < s->blocks; block++) {
      const int32_t *weights = end + 4, *constants = weights + s->products;
      constants = pair(out + 4 * block, columns, end, weights, 2, constants, s);
      end = pair(out + 4 * block + 2, columns, end + 2, weights + 1, 2, constants, s);
    }
  }
  return end;
}
#endif

/* The last channel of an odd number: its weights are plain bytes. */
static void last(int8_t *out, const uint32_t *x, const int32_t *packed, const mw_gemm_dsp *s) {
  int32_t n = s->products >> 2, a = packed[0], b = a;
  packed++;
#if MW_HAS_DSP
  int32_t c, d, e, f, g, h;
  if (n)
    __asm__ volatile(
        "1: ldr %2,[%9],#4\n ldr %4,[%8],#16\n ldr %5,[%8,#-12]\n ldr %6,[%8,#-8]\n"
        "ldr %7,[%8,#-4]\n sxtb16 %3,%2\n sxtb16 %2,%2,ror #8\n"
        "smlad %0,%3,%4,%0\n smlad %1,%3,%5,%1\n smlad %0,%2,%6,%0\n smlad %1,%2,%7,%1\n"
        "subs %10,#1\n bne 1b"
        : "+r"(a), "+r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f), "=&r"(g), "=&r"(h), "+r"(x),
          "+r"(packed), "+r"(n)
        :
        : "cc", "memory");
#endif
  for (; n > 0; n--, x += 4, packed++) {
    uint32_t even = mw_sxtb16((uint32_t)*packed), odd = mw_sxtb16_ror8((uint32_t)*packed);
    a = mw_smlad(odd, x[2], mw_smlad(even, x[0], a));
    b = mw_smlad(odd, x[3], mw_smlad(even, x[1], b));
  }
  if (s->products & 2) {
    uint32_t even = mw_sxtb16((uint32_t)*packed++);
    a = mw_smlad(even, x[0], a), b = mw_smlad(even, x[1], b);
  }
  out[0] = requantized(a, packed, s->steps);
  out[s->next] = requantized(b, packed, s->steps);
}

void mw_gemm_s8_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                    const mw_gemm_dsp *shape, int32_t pairs) {
  if (shape->blocks) packed = mw_gemm_blocks_dsp(out, columns, packed, shape, pairs);
  if (!shape->rest) return;
  out += 4 * shape->blocks;
  MW_ROLLED
  for (; pairs > 0; pairs--, out += 2 * shape->next, columns += shape->products) {
    const int32_t *end = packed;
    if (shape->rest & 2)
      end = pair(out, columns, end, end + 2, 1, end + 2 + (shape->products >> 1), shape);
    if (shape->rest & 1) last(out + (shape->rest & 2), columns, end, shape);
  }
}
