/* What counter.c shares with counter.py: one structure, laid out alike on both sides. */
#ifndef MW_COUNTER_H
#define MW_COUNTER_H

#include <stdint.h>

enum {
  MW_FAULT_NONE,
  MW_FAULT_READ,      /* no memory there */
  MW_FAULT_WRITE,     /* no memory there */
  MW_FAULT_READ_ONLY, /* write to flash */
  MW_FAULT_JUMP,      /* no code there */
  MW_FAULT_UNALIGNED,
  MW_FAULT_FULL /* no room for another block: counts would be wrong */
};

/* A translated block: straight-line code that the emulator entered at `address`. `layer` is the
 * layer whose function starts here, -1 for none; `next` a block of the same address, other size. */
typedef struct {
  uint32_t address;
  uint32_t size;
  int32_t layer;
  uint32_t next;
} mw_block;

/* An LRU cache in front of the flash. `slot_of` has one entry per line of the flash: 1 + the slot
 * that holds it, or 0. Set s owns slots s * ways to s * ways + ways - 1. */
typedef struct {
  uint32_t ways;       /* 0: no cache, every access reads the flash */
  uint32_t set_mask;   /* number of sets - 1 */
  uint32_t line_shift; /* log2 of the line's bytes */
  uint32_t clock;
  uint32_t again_first; /* flash reads that, asked for next, are all there and change nothing */
  uint32_t again_last;
  uint16_t *slot_of;
  uint32_t *line_of; /* per slot: the line it holds */
  uint32_t *used;    /* per slot: clock of its last use */
  uint32_t *valid;   /* per slot: one bit per flash read that has been done */
} mw_cache;

typedef struct {
  /* The emulator's functions, called from the hooks. */
  int (*reg_read)(void *engine, int reg, void *value);
  int (*emu_stop)(void *engine);
  int32_t reg_sp;
  int32_t reg_return;

  /* Code: `index` has 1 + the block's number for each halfword of it; in runs that are not counted,
   * 1 + the layer that begins there. */
  uint32_t code_base;
  uint32_t code_bytes;
  uint32_t *index;
  mw_block *blocks;
  uint32_t block_count;
  uint32_t block_capacity;

  /* Layers 0 to layer_count - 1 and, as number layer_count, everything else. */
  uint32_t layer_count;
  const uint32_t *layer_entry;
  uint32_t layer;
  uint32_t return_address;
  uint64_t *calls;   /* [layer_count + 1] */
  uint64_t *entries; /* [layer_count + 1][block_capacity]: times a block was entered */
  uint64_t *falls;   /* the same: times it went on to the code behind it */
  uint64_t *extra;   /* [layer_count + 1]: cycles that depend on data: divisions */
  uint64_t *stalls;  /* [layer_count + 1]: cycles lost to the flash */
  uint64_t *split;   /* [layer_count + 1]: extra bus transfers of unaligned accesses */
  uint64_t *last_fall;
  uint32_t last_end;

  uint64_t budget; /* bytes of code still to run before the emulator is stopped */
  uint32_t stopped;
  uint32_t block_address; /* of the block entered last, for faults */
  uint32_t stack_low;

  /* What ended the run early: one of MW_FAULT_*, and the address that it is about. */
  uint32_t fault;
  uint32_t fault_address;
  uint32_t strict; /* 1: the core faults on unaligned accesses */
  uint32_t ram_base;
  uint32_t ram_bytes;
  uint32_t system_base;
  uint32_t system_bytes;

  /* Flash timing. */
  uint32_t flash_base;
  uint32_t flash_bytes;
  uint32_t wait_states;
  uint32_t read_shift;   /* log2 of the bytes of one flash read */
  uint32_t prefetch;     /* 1: the read behind the last one is already under way */
  uint32_t prefetch_hit; /* cycles such a read still costs */
  uint32_t prefetched;   /* its number */
  uint32_t whole_line;
  mw_cache icache;
  mw_cache dcache;
  mw_cache *data; /* the cache that data goes through */
} mw_counter;

/* One division instruction: its registers and the core's formula (see timing/model.py). */
typedef struct {
  mw_counter *counter;
  int32_t dividend;
  int32_t divisor;
  uint32_t is_signed;
  uint32_t zero_cycles;
  uint32_t offset;
  uint32_t bits_per_cycle;
  uint32_t signed_cycles;
  uint32_t max_cycles;
} mw_divide;

/* Cycles lost reading flash bytes [from, to), offsets into the flash, as data or instructions. */
uint32_t mw_read_flash(mw_counter *c, uint32_t from, uint32_t to, int is_data);

void mw_on_block(void *engine, uint64_t address, uint32_t size, void *user);
void mw_on_block_uncounted(void *engine, uint64_t address, uint32_t size, void *user);
void mw_on_access(void *engine, int type, uint64_t address, int size, int64_t value, void *user);
void mw_on_divide(void *engine, uint64_t address, uint32_t size, void *user);

#endif
