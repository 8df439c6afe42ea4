#ifndef MW_MODEL_H
#define MW_MODEL_H

/* stream, compiled by milliwatt.
 *
 * The caller owns the arena: MW_MODEL_ARENA_BYTES bytes, aligned to 8. Fill the inputs before every
 * mw_model_run; a run may overwrite them. Outputs stay until the next run.
 *
 * The model remembers from run to run: the first MW_MODEL_STATE_BYTES bytes of the arena are its
 * state. Leave them as they are between runs, or save them and put them back. What lies where:
 *   byte 0: ring, s8[3,4], real = 0.0625 * (q + 3)
 *   byte 16: last, s8[1,4], real = 0.0625 * (q + 3)
 *   byte 24: total, s8[1,4], real = 0.0625 * (q + 3)
 *   byte 32: gain, s8[1,4], real = 0.0625 * (q + 3) */
#include <stddef.h>
#include <stdint.h>

#define MW_MODEL_ARENA_BYTES 104
#define MW_MODEL_STATE_BYTES 40

/* Elements of each input and output; an integer q stands for SCALE * (q - ZERO_POINT). */
#define MW_INPUT_FRAME_COUNT 4
#define MW_INPUT_FRAME_SCALE 0.0625f
#define MW_INPUT_FRAME_ZERO_POINT (-3)
#define MW_INPUT_LOUD_COUNT 1
#define MW_OUTPUT_SCORE_COUNT 4
#define MW_OUTPUT_SCORE_SCALE 0.0625f
#define MW_OUTPUT_SCORE_ZERO_POINT (-3)
#define MW_OUTPUT_DOUBLED_COUNT 4
#define MW_OUTPUT_DOUBLED_SCALE 0.0625f
#define MW_OUTPUT_DOUBLED_ZERO_POINT (-3)
#define MW_OUTPUT_GAIN_COUNT 4
#define MW_OUTPUT_GAIN_SCALE 0.0625f
#define MW_OUTPUT_GAIN_ZERO_POINT (-3)

/* A check at compile time, for C99 and later. */
#define MW_STATIC_ASSERT(condition, name) typedef char name[(condition) ? 1 : -1]

typedef enum { MW_OK = 0, MW_BAD_ARENA = 1, MW_NOT_READY = 2 } mw_status;

typedef struct {
  uint8_t *arena;
  int8_t *input_frame; /* s8[1,4], real = 0.0625 * (q + 3) */
  uint8_t *input_loud; /* bool[1] */
  int8_t *output_score; /* s8[4], real = 0.0625 * (q + 3) */
  int8_t *output_doubled; /* s8[1,4], real = 0.0625 * (q + 3) */
  int8_t *output_gain; /* s8[1,4], real = 0.0625 * (q + 3) */
} mw_model;

#ifdef __cplusplus
extern "C" {
#endif

/* Give the model its memory and set the input and output pointers. */
mw_status mw_model_init(mw_model *model, void *arena, size_t arena_bytes);

/* Forget all earlier runs: give the state its first values, as mw_model_init does. */
mw_status mw_model_reset(mw_model *model);

/* One inference. */
mw_status mw_model_run(mw_model *model);

/* A status in words. */
const char *mw_model_status_text(mw_status status);

#ifdef __cplusplus
}
#endif

#endif
