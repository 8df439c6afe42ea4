/* An example program around the model; replace it with yours. The emulator calls the two
 * mw_firmware functions instead of main. */
#include "mw_model.h"

/* 64-bit elements align the arena on every compiler. */
uint64_t mw_arena[(MW_MODEL_ARENA_BYTES + 7) / 8];
MW_STATIC_ASSERT(sizeof mw_arena >= MW_MODEL_ARENA_BYTES, arena_is_large_enough);

static mw_model model;

int mw_firmware_init(void);
int mw_firmware_run(void);

int mw_firmware_init(void)
{
  return (int)mw_model_init(&model, mw_arena, sizeof mw_arena);
}

int mw_firmware_run(void)
{
  return (int)mw_model_run(&model);
}

int main(void)
{
  int status = mw_firmware_init();
  while (status == 0) {
    /* Read a sensor into the inputs here. */
    status = mw_firmware_run();
    /* Use the outputs here. */
  }
  return status;
}
