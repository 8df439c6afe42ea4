/* Products of four transformed tiles with the transformed weights of two channels, at every
 * position: out[s,c,t] = sum_k v[s,k,t] * u[s,k,c], where the sum of every second position goes on
 * from the one before it. For the DSP extension; what the Winograd convolutions are made of.
 *
 * Layouts: words. v [positions, pairs, 4 tiles] and u [positions, pairs, 2 channels] hold two int16
 * each; m [positions, 2 channels, 4 tiles]. All three are walked once, from front to back.
 * Ranges: sums wrap at 32 bits, and so does all that is made of them (mw_winograd_dsp.h).
 * Workspace: none. Rounding: none.
 *
 * Inner loop, 4 tiles x 2 channels: for two products 6 loads (8 cycles: neighbours pipeline) and 8
 * SMLAD make 16 MACs: 16 cycles, 1.0 a MAC, and 2.5 of flash for the 8 bytes of weights. 8 sums, 2
 * pointers, 2 words of weights and 2 of tiles are all 14 registers, so the rest waits on the stack.
 * With 8 pairs (16 input channels) two positions are unrolled (800 bytes; the flash's instruction
 * cache is 1 KiB): 30 cycles around 256 MACs. Else 8 steps are unrolled and entered in the middle
 * where pairs are no multiple of 8: 34 cycles a position, 7 a turn.
 */
#include "mw_winograd_dsp.h"

#if MW_HAS_DSP
/* On the stack: 0 end of the position's weights, its lowest bit set in every second position;
 * 4 where sums go; 8 bytes of a position's weights; 12 end of all weights; 16 where the loop is
 * entered. */
__asm__(
    ".section .text.mw_winograd_gemm_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 5\n"
    ".global mw_winograd_gemm_dsp\n.type mw_winograd_gemm_dsp,%function\n.thumb_func\n"
    ".macro mw_step\n"
    "ldr.n r3,[r1,#4]\n ldr r2,[r1],#8\n ldr.n r5,[r0,#4]\n ldr r4,[r0],#8\n"
    "smlad r6,r2,r4,r6\n smlad r7,r2,r5,r7\n smlad r10,r3,r4,r10\n smlad r11,r3,r5,r11\n"
    "ldr.n r5,[r0,#4]\n ldr r4,[r0],#8\n"
    "smlad r8,r2,r4,r8\n smlad r9,r2,r5,r9\n smlad r12,r3,r4,r12\n smlad lr,r3,r5,lr\n"
    ".endm\n"
    /* The first step: sums start with it. */
    ".macro mw_start\n"
    "ldr.n r3,[r1,#4]\n ldr r2,[r1],#8\n ldr.n r5,[r0,#4]\n ldr r4,[r0],#8\n"
    "smuad r6,r2,r4\n smuad r7,r2,r5\n smuad r10,r3,r4\n smuad r11,r3,r5\n"
    "ldr.n r5,[r0,#4]\n ldr r4,[r0],#8\n"
    "smuad r8,r2,r4\n smuad r9,r2,r5\n smuad r12,r3,r4\n smuad lr,r3,r5\n"
    ".endm\n"
    "mw_winograd_gemm_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#20\n"
    "ldrd r4,r5,[r3]\n"                     /* pairs, positions */
    "mov r3,r0\n mov r0,r1\n mov r1,r2\n"   /* r0 tiles, r1 weights, r3 sums */
    "lsl r6,r4,#3\n add r7,r1,r6\n strd r7,r3,[sp]\n"
    "mla r7,r5,r6,r1\n strd r6,r7,[sp,#8]\n"
    "cmp r4,#8\n beq 5f\n"
    "rsb r5,r4,#0\n and r5,#7\n mov r6,#50\n adr.w r7,1f\n mla r7,r5,r6,r7\n"
    "orr r7,#1\n str r7,[sp,#16]\n" /* the loop is Thumb code */
    "0: movs r6,#0\n mov r7,r6\n mov r8,r6\n mov r9,r6\n mov r10,r6\n mov r11,r6\n mov r12,r6\n"
    "mov lr,r6\n"
    "2: ldr pc,[sp,#16]\n"
    ".p2align 2\n"
    "1:\n.rept 8\nmw_step\n.endr\n"
    "ldr r2,[sp]\n ldr r3,[sp,#4]\n eor r5,r1,r2\n cmp r5,#1\n bhi 1b\n"
    "stm r3!,{r6-r12,lr}\n"
    "ldr r4,[sp,#8]\n add r2,r4\n eor r2,#1\n str r3,[sp,#4]\n str r2,[sp]\n"
    "cmp r5,#0\n beq 2b\n"
    "ldr r4,[sp,#12]\n cmp r1,r4\n bne 0b\n"
    "4: add sp,#20\n pop {r4-r11,pc}\n"
    ".p2align 2\n"
    "5: mw_start\n.rept 7\nmw_step\n.endr\n"
    "ldr r3,[sp,#4]\n stm r3!,{r6-r12,lr}\n str r3,[sp,#4]\n"
    ".rept 8\nmw_step\n.endr\n"
    "ldr r3,[sp,#4]\n ldr r2,[sp,#12]\n stm r3!,{r6-r12,lr}\n str r3,[sp,#4]\n"
    "cmp r1,r2\n bne 5b\n b 4b\n"
    ".purgem mw_step\n.purgem mw_start\n"
    ".size mw_winograd_gemm_dsp,.-mw_winograd_gemm_dsp\n.text\n");
#else
void mw_winograd_gemm_dsp(int32_t *m, const uint32_t *v, const int32_t *u,
                          const mw_winograd_gemm *shape) {
  int32_t sums[8];
  for (int32_t s = 0; s < shape->positions; s++, m += 8) {
    for (int32_t i = 0; i < 8; i++) sums[i] = s & 1 ? sums[i] : 0;
    for (int32_t k = 0; k < shape->pairs; k++, v += 4, u += 2) {
      for (int32_t i = 0; i < 8; i++) sums[i] = mw_smlad((uint32_t)u[i / 4], v[i % 4], sums[i]);
    }
    memcpy(m, sums, sizeof sums);
  }
}
#endif
