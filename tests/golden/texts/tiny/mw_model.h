#ifndef MW_MODEL_H
#define MW_MODEL_H

/* tiny, compiled by milliwatt.
 *
 * The caller owns the arena: MW_MODEL_ARENA_BYTES bytes, aligned to 8. Fill the inputs before every
 * mw_model_run; a run may overwrite them. Outputs stay until the next run. */
#include <stddef.h>
#include <stdint.h>

#define MW_MODEL_ARENA_BYTES 200

/* Elements of each input and output; an integer q stands for SCALE * (q - ZERO_POINT). */
#define MW_INPUT_IMAGE_COUNT 40
#define MW_INPUT_IMAGE_SCALE 0.0625f
#define MW_INPUT_IMAGE_ZERO_POINT (-3)
#define MW_OUTPUT_LABEL_COUNT 3
#define MW_OUTPUT_LABEL_SCALE 0.00390625f
#define MW_OUTPUT_LABEL_ZERO_POINT (-128)

/* A check at compile time, for C99 and later. */
#define MW_STATIC_ASSERT(condition, name) typedef char name[(condition) ? 1 : -1]

typedef enum { MW_OK = 0, MW_BAD_ARENA = 1, MW_NOT_READY = 2 } mw_status;

typedef struct {
  uint8_t *arena;
  int8_t *input_image; /* s8[1,5,4,2], real = 0.0625 * (q + 3) */
  int8_t *output_label; /* s8[1,3], real = 0.00390625 * (q + 128) */
} mw_model;

#ifdef __cplusplus
extern "C" {
#endif

/* Give the model its memory and set the input and output pointers. */
mw_status mw_model_init(mw_model *model, void *arena, size_t arena_bytes);

/* One inference. */
mw_status mw_model_run(mw_model *model);

/* A status in words. */
const char *mw_model_status_text(mw_status status);

#ifdef __cplusplus
}
#endif

#endif
