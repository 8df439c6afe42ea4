/* Parameters and prototypes of the kernels that move or convert data. Included by mw.h. */
#ifndef MW_DATA_H
#define MW_DATA_H

/* ---- moving bytes; one kernel for every element type ---- */

/* `runs` runs of run_bytes; axes = [rank][3] of {size, input stride, output stride} in bytes,
 * innermost first, walks the runs. */
typedef struct {
  int32_t runs, run_bytes, rank;
  const int32_t *axes;
} mw_transpose_params;

typedef struct {
  int32_t runs, run_bytes, rank;
  const int32_t *axes;
  int32_t out_bytes, out_offset; /* where the first run goes, in bytes */
  int32_t value_bytes;           /* size of an element, 1 when all its bytes are equal */
  const uint8_t *value;          /* the bytes of the padding element */
} mw_pad_params;

typedef struct {
  int32_t count, rows;
  const int32_t *run_bytes; /* [count]: bytes of one row of each operand */
} mw_concat_params;

void mw_transpose(void *out, const void *in, const mw_transpose_params *params, void *workspace);
void mw_pad(void *out, const void *in, const mw_pad_params *params, void *workspace);
void mw_concat(void *out, const void *const in[], const mw_concat_params *params, void *workspace);

/* ---- element types ---- */

typedef struct {
  int32_t size;
  float scale;
  int32_t zero_point;
} mw_quantize_params; /* quantize and dequantize */

typedef struct {
  int32_t size;
  int32_t in_zero_point, multiplier, shift;
  MW_RESULT_S8;
} mw_requantize_params; /* also clamp with a change of scale */

typedef struct {
  int32_t size;
} mw_widen_params; /* dequantize of f16 */

void mw_quantize_f32_s8(int8_t *out, const float *in, const mw_quantize_params *params,
                        void *workspace);
void mw_quantize_f32_u8(uint8_t *out, const float *in, const mw_quantize_params *params,
                        void *workspace);
void mw_quantize_f32_s16(int16_t *out, const float *in, const mw_quantize_params *params,
                         void *workspace);
void mw_dequantize_s8_f32(float *out, const int8_t *in, const mw_quantize_params *params,
                          void *workspace);
void mw_dequantize_u8_f32(float *out, const uint8_t *in, const mw_quantize_params *params,
                          void *workspace);
void mw_dequantize_s16_f32(float *out, const int16_t *in, const mw_quantize_params *params,
                           void *workspace);
void mw_dequantize_s32_f32(float *out, const int32_t *in, const mw_quantize_params *params,
                           void *workspace);
void mw_dequantize_f16_f32(float *out, const uint16_t *in, const mw_widen_params *params,
                           void *workspace);

/* Kernels mw_requantize_<from>_<to>; what stays in 8 bits is a lookup. */
#define MW_REQUANTIZE(from, from_t, to, to_t)                   \
  void mw_requantize_##from##_##to(to_t *out, const from_t *in, \
                                   const mw_requantize_params *params, void *workspace)
MW_REQUANTIZE(s8, int8_t, s16, int16_t);
MW_REQUANTIZE(s8, int8_t, s32, int32_t);
MW_REQUANTIZE(s16, int16_t, s8, int8_t);
MW_REQUANTIZE(s16, int16_t, s16, int16_t);
MW_REQUANTIZE(s16, int16_t, s32, int32_t);
MW_REQUANTIZE(s32, int32_t, s8, int8_t);
MW_REQUANTIZE(s32, int32_t, s16, int16_t);
MW_REQUANTIZE(s32, int32_t, s32, int32_t);

#endif
