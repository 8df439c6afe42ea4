/* The audio front end: window, FFT, filter bank, PCAN: parameters and prototypes; see mw.h.
 *
 * A kernel of two results makes a bundle: each begins at a multiple of 8 bytes, gaps are 0. */
#ifndef MW_OP_SIGNAL_H
#define MW_OP_SIGNAL_H

#include "mw_common.h"

typedef struct {
  int32_t rows, row; /* rows of as many samples as there are weights */
  int32_t shift;
} mw_window_params;

typedef struct {
  int32_t size;
} mw_fft_auto_scale_params;

/* A transform of 2 * count samples, `rows` times. stages = [stage_count][3] of {groups, radix,
 * length}, the first one to run last; twiddles = [count] and last = [count / 2] of {re, im}. */
#define MW_FFT_PARAMS(type)                          \
  struct {                                           \
    int32_t rows, in_size, count, stage_count;       \
    const int32_t *stages;                           \
    const type *twiddles;                            \
    const type *last;                                \
  }
typedef MW_FFT_PARAMS(int16_t) mw_fft_params_s16;
typedef MW_FFT_PARAMS(int32_t) mw_fft_params_s32;
typedef MW_FFT_PARAMS(float) mw_fft_params_f32;

typedef struct {
  int32_t count, start, end;
} mw_energy_params;

typedef struct {
  int32_t channels;
  const int32_t *bands;   /* [channels + 1][2]: first frequency, width */
  const int16_t *weights; /* {weight, unweight} of every frequency of every band, in order */
} mw_filter_bank_params;

typedef struct {
  int32_t size;
} mw_filter_bank_square_root_params;

typedef struct {
  int32_t size;
  int32_t smoothing, one_minus_smoothing;         /* of even channels */
  int32_t odd_smoothing, odd_one_minus_smoothing; /* of odd channels */
  int32_t smoothing_bits, min_remaining, subtraction_bits, clamping;
} mw_spectral_subtraction_params;

typedef struct {
  int32_t size, snr_shift;
} mw_pcan_params;

typedef struct {
  int32_t size, output_scale, correction_bits;
  const int16_t *table; /* [129]: (log2(1 + i / 128) - i / 128) * 2^16 */
} mw_filter_bank_log_params;

typedef struct {
  int32_t rows, frames, frame, step;
  int32_t tail_offset, end; /* of the bundle, in elements */
} mw_overlap_add_params;

void mw_window_s16(int16_t *out, const int16_t *in, const int16_t *weights,
                   const mw_window_params *params, void *workspace);
void mw_fft_auto_scale_s16(uint8_t *out, const int16_t *in, const mw_fft_auto_scale_params *params,
                           void *workspace);
void mw_rfft_s16(int16_t *out, const int16_t *in, const mw_fft_params_s16 *params, void *workspace);
void mw_rfft_s32(int32_t *out, const int32_t *in, const mw_fft_params_s32 *params, void *workspace);
void mw_rfft_f32(float *out, const float *in, const mw_fft_params_f32 *params, void *workspace);
void mw_irfft_s16(int16_t *out, const int16_t *in, const mw_fft_params_s16 *params,
                  void *workspace);
void mw_irfft_s32(int32_t *out, const int32_t *in, const mw_fft_params_s32 *params,
                  void *workspace);
void mw_irfft_f32(float *out, const float *in, const mw_fft_params_f32 *params, void *workspace);
void mw_energy_s16(uint32_t *out, const int16_t *in, const mw_energy_params *params,
                   void *workspace);
void mw_filter_bank_u32(uint64_t *out, const uint32_t *in, const mw_filter_bank_params *params,
                        void *workspace);
void mw_filter_bank_square_root_u64(uint32_t *out, const uint64_t *in, const int32_t *bits,
                                    const mw_filter_bank_square_root_params *params,
                                    void *workspace);
void mw_spectral_subtraction_u32(uint8_t *out, const uint32_t *in, const uint32_t *noise,
                                 const mw_spectral_subtraction_params *params, void *workspace);
void mw_pcan_u32(uint32_t *out, const uint32_t *in, const uint32_t *noise, const int16_t *gains,
                 const mw_pcan_params *params, void *workspace);
void mw_filter_bank_log_u32(int16_t *out, const uint32_t *in,
                            const mw_filter_bank_log_params *params, void *workspace);
void mw_overlap_add_s16(uint8_t *out, const int16_t *in, const int16_t *tail,
                        const mw_overlap_add_params *params, void *workspace);
void mw_overlap_add_f32(uint8_t *out, const float *in, const float *tail,
                        const mw_overlap_add_params *params, void *workspace);

#endif
