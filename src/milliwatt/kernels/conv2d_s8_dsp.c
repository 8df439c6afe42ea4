/* conv2d, s8, for the DSP extension.
 *
 * out[n,y,x,o] = clamp(out_zero_point + rescale(bias[o] + sum_k in[n,window(y,x),k] * w[o,k]))
 * with the window's cell (ky, kx) at row y * stride_h + ky * dilation_h - pad_top and column alike;
 * cells outside the input read in_zero_point, and bias holds -in_zero_point * sum(w).
 *
 * Some pixels at a time: their windows become int16 columns in the workspace (about 1.6 cycles a
 * cell), which mw_gemm_s8_dsp multiplies by all channels of a chunk, two pixels at a time. Taking
 * several pairs of pixels saves the stalls of loading one loop after the other into the flash's
 * instruction cache. The weights of a chunk are read from flash, or copied to the workspace once
 * (about a cycle a byte) where that saves the stalls of reading them again for every two pixels.
 * Where the columns of all pixels fit the workspace, they serve all chunks.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O], weights packed as mw_gemm_dsp.h says.
 * Ranges: |sum| < 2^23 of even channels, < 2^30 of others, bias included (checked when packing).
 * Workspace: 4 * copied bytes, then 4 * pairs * products for the columns, then the
 * kernel's padded rows, each to a multiple of 4, and 3 bytes.
 * In place: a 1 x 1 kernel of stride 1 with as many outputs as inputs, all channels one chunk:
 * pixels are read before they are written. Any, where the columns of all pixels are made first.
 * Rounding: TFLM's two roundings, see mw_gemm_dsp.h. Source: TensorFlow Lite 8-bit specification,
 * CONV_2D.
 */
#include "mw_columns_dsp.h"

/* Words from one place to another, at least 1. */
static void mw_load_weights(int32_t *to, const int32_t *from, int32_t words) {
#if MW_HAS_DSP
  int32_t sixteens = words >> 4;
  words &= 15;
  if (sixteens)
    __asm__ volatile(
        "1: ldm %1!,{r3-r6,r8,r10,r12,lr}\n stm %0!,{r3-r6,r8,r10,r12,lr}\n"
        "ldm %1!,{r3-r6,r8,r10,r12,lr}\n subs %2,#1\n stm %0!,{r3-r6,r8,r10,r12,lr}\n bne 1b"
        : "+r"(to), "+r"(from), "+r"(sixteens)
        :
        : "r3", "r4", "r5", "r6", "r8", "r10", "r12", "lr", "cc", "memory");
#endif
  memcpy(to, from, 4 * (size_t)words);
}

/* All pixels, for the channels of one chunk: from `out` on, weights at `packed`. `known`: whether
 * the columns of all pixels are there. */
static void mw_conv_chunk_dsp(int8_t *out, const int8_t *in, const int32_t *packed,
                              mw_gemm_dsp *shape, const mw_conv2d_s8_dsp_params *p,
                              uint32_t *columns, int32_t known) {
  int32_t width = (p->out_w - 1) * p->stride_w + (p->kernel_w - 1) * p->dilation_w + 1;
  /* Copied rows start at multiples of 4 where the image's do: words are copied faster. */
  int32_t row = p->padded ? (width * p->in_c + 3) & ~3 : p->in_w * p->in_c * p->dilation_h;
  int32_t overlap = p->dilation_h == 1 ? mw_max_s32(p->kernel_h - p->stride_h, 0) : 0;
  int32_t words = p->products, filled = 0;
  int32_t batches = p->batches;
  int8_t *rows = (int8_t *)(columns + p->pairs * words) + (-p->pad_left * p->in_c & 3);
  mw_window_dsp window = mw_window_of(p, row);
  shape->next = p->out_c;
  if (known) filled = p->batches * p->out_h * p->out_w, batches = 0;
  MW_ROLLED
  for (int32_t n = 0; n < batches; n++, in += p->in_h * p->in_w * p->in_c) {
    MW_ROLLED
    for (int32_t y = 0; y < p->out_h; y++) {
      const int8_t *from = in + y * p->stride_h * p->in_w * p->in_c;
      if (p->padded) {
        mw_padded_rows_dsp(rows, in, y * p->stride_h - p->pad_top, row, y ? overlap : -1, p);
        from = rows;
      }
      MW_ROLLED
      for (int32_t x = 0, count; x < p->out_w; x += count) {
        count = mw_min_s32(p->out_w - x, 2 * p->pairs - filled);
        mw_columns_dsp(columns, filled, from + x * p->stride_w * p->in_c, &window, count, p);
        filled += count;
        if (filled < 2 * p->pairs) continue;
        mw_gemm_s8_dsp(out, columns, packed, shape, p->pairs);
        out += filled * p->out_c, filled = 0;
      }
    }
  }
  if (filled > 1) mw_gemm_s8_dsp(out, columns, packed, shape, filled >> 1);
  if (!(filled & 1)) return;
  /* A lone last pixel: its column twice, and both results to the same place. */
  out += (filled - 1) * p->out_c, columns += (filled >> 1) * words;
  MW_ROLLED
  for (int32_t i = 0; i < words; i += 2) columns[i + 1] = columns[i];
  shape->next = 0;
  mw_gemm_s8_dsp(out, columns, packed, shape, 1);
}

void mw_conv2d_s8_dsp(int8_t *out, const int8_t *in, const mw_conv2d_s8_dsp_params *params,
                      void *workspace) {
  const mw_conv2d_s8_dsp_params *p = params;
  uint32_t *columns = (uint32_t *)workspace + p->copied;
  const int32_t *packed = p->packed;
  int32_t block = 4 * (p->steps + 2) + p->products, blocks = p->out_c >> 2, left = p->words;
  int32_t fit = p->batches * p->out_h * p->out_w <= 2 * p->pairs, known = 0;
  mw_gemm_dsp shape = {p->products, p->steps, 0, 0, 0};
  int8_t *to = out;
  MW_ROLLED
  do {
    shape.blocks = mw_min_s32(blocks, p->chunk), blocks -= shape.blocks;
    shape.rest = blocks ? 0 : p->out_c & 3;
    int32_t words = blocks ? block * shape.blocks : left;
    if (p->copied) mw_load_weights(workspace, packed, words);
    mw_conv_chunk_dsp(to, in, p->copied ? (const int32_t *)workspace : packed, &shape, p, columns,
                      known);
    known = fit, to += 4 * shape.blocks, packed += words, left -= words;
  } while (blocks);
  mw_bound_bytes(out, p->batches * p->out_h * p->out_w * p->out_c, p->clamp_min, p->clamp_max);
}
