/* Hooks that the emulator calls for each block, memory access and division: count, decide nothing.
 *
 * Built into a shared library at first use (counter.py). A Python callback here would cost a
 * hundred times more. What a block costs in cycles is worked out afterwards, from the code. */
#include "counter.h"

#define NONE UINT32_MAX
#define UC_MEM_WRITE 17 /* unicorn.h, uc_mem_type */

/* Number of the block at `address` with `size`, made if new; NONE outside the code or when full. */
static uint32_t find_block(mw_counter *c, uint32_t address, uint32_t size) {
  const uint32_t offset = address - c->code_base;
  if (offset >= c->code_bytes) {
    return NONE;
  }
  uint32_t *link = &c->index[offset >> 1];
  while (*link != 0u) {
    mw_block *block = &c->blocks[*link - 1u];
    if (block->size == size) {
      return *link - 1u;
    }
    link = &block->next;
  }
  if (c->block_count == c->block_capacity) {
    return NONE;
  }
  mw_block *block = &c->blocks[c->block_count];
  block->address = address;
  block->size = size;
  block->layer = -1;
  block->next = 0u;
  for (uint32_t i = 0; i < c->layer_count; ++i) {
    if (c->layer_entry[i] == address) {
      block->layer = (int32_t)i;
    }
  }
  *link = ++c->block_count;
  return c->block_count - 1u;
}

/* A layer begins at its function's first block and ends where that function returns to. */
static void follow_layers(mw_counter *c, void *engine, uint32_t address, int32_t starts) {
  if (starts >= 0 && (uint32_t)starts != c->layer) {
    uint32_t back = 0;
    c->reg_read(engine, c->reg_return, &back);
    c->return_address = back & ~1u;
    c->layer = (uint32_t)starts;
    c->calls[starts] += 1u;
  } else if (address == c->return_address) {
    c->layer = c->layer_count;
    c->return_address = NONE;
  }
}

/* End the run: the first fault is the one that counts. */
static void fault(mw_counter *c, void *engine, uint32_t what, uint32_t address) {
  if (c->fault == MW_FAULT_NONE) {
    c->fault = what;
    c->fault_address = address;
  }
  c->emu_stop(engine);
}

/* Stop before a block that the budget does not cover; it is entered again when the run goes on. */
static int out_of_budget(mw_counter *c, void *engine, uint32_t address, uint32_t size) {
  if (c->fault != MW_FAULT_NONE) {
    return 1;
  }
  c->block_address = address;
  if (c->budget >= size) {
    c->budget -= size;
    return 0;
  }
  c->stopped = 1u;
  c->emu_stop(engine);
  return 1;
}

void mw_on_block_uncounted(void *engine, uint64_t address, uint32_t size, void *user) {
  mw_counter *c = user;
  const uint32_t offset = (uint32_t)address - c->code_base;
  if (out_of_budget(c, engine, (uint32_t)address, size) == 0 && offset < c->code_bytes) {
    follow_layers(c, engine, (uint32_t)address, (int32_t)c->index[offset >> 1] - 1);
  }
}

void mw_on_block(void *engine, uint64_t address64, uint32_t size, void *user) {
  mw_counter *c = user;
  const uint32_t address = (uint32_t)address64;
  if (out_of_budget(c, engine, address, size) != 0) {
    return;
  }
  if (c->last_fall != 0 && address == c->last_end) {
    *c->last_fall += 1u;
  }
  const uint32_t number = find_block(c, address, size);
  if (number == NONE) {
    const int outside = address - c->code_base >= c->code_bytes;
    fault(c, engine, outside != 0 ? MW_FAULT_JUMP : MW_FAULT_FULL, address);
    return;
  }
  follow_layers(c, engine, address, c->blocks[number].layer);
  const uint64_t cell = (uint64_t)c->layer * c->block_capacity + number;
  if (c->entries[cell]++ == 0u) {
    uint32_t sp = c->stack_low;
    c->reg_read(engine, c->reg_sp, &sp);
    c->stack_low = sp < c->stack_low ? sp : c->stack_low;
  }
  c->last_fall = &c->falls[cell];
  c->last_end = address + size;
  if (c->wait_states != 0u && address - c->flash_base < c->flash_bytes) {
    const uint32_t from = address - c->flash_base;
    c->stalls[c->layer] += mw_read_flash(c, from, from + size, 0);
  }
}

/* An access that is unaligned or outside RAM and flash. Returns 1 where the core would fault. */
static int odd_access(mw_counter *c, void *engine, uint32_t address, uint32_t size, int is_write) {
  const int in_flash = address - c->flash_base < c->flash_bytes;
  if (address - c->ram_base >= c->ram_bytes && address - c->system_base >= c->system_bytes) {
    if (in_flash == 0) {
      fault(c, engine, is_write != 0 ? MW_FAULT_WRITE : MW_FAULT_READ, address);
      return 1;
    }
    if (is_write != 0) {
      fault(c, engine, MW_FAULT_READ_ONLY, address);
      return 1;
    }
  }
  if ((address & (size - 1u)) != 0u) {
    if (c->strict != 0u) {
      fault(c, engine, MW_FAULT_UNALIGNED, address);
      return 1;
    }
    /* An odd word is byte, halfword, byte: two transfers more. Other cases are one more. */
    c->split[c->layer] += size > 2u && (address & 1u) != 0u ? 2u : 1u;
  }
  return 0;
}

void mw_on_access(void *engine, int type, uint64_t address64, int size, int64_t value, void *user) {
  mw_counter *c = user;
  const uint32_t address = (uint32_t)address64;
  const uint32_t bytes = (uint32_t)size;
  const uint32_t from = address - c->flash_base;
  const int is_write = type == UC_MEM_WRITE;
  const int is_flash_read = from < c->flash_bytes && is_write == 0;
  (void)value;
  if ((address & (bytes - 1u)) != 0u || (address - c->ram_base >= c->ram_bytes && !is_flash_read)) {
    if (odd_access(c, engine, address, bytes, is_write) != 0) {
      return;
    }
  }
  if (is_flash_read && c->wait_states != 0u) {
    /* Most reads are of the flash word that the last one was of. */
    if (c->data->again_first != from >> c->read_shift ||
        c->data->again_last != (from + bytes - 1u) >> c->read_shift) {
      c->stalls[c->layer] += mw_read_flash(c, from, from + bytes, 1);
    }
  }
}

void mw_on_divide(void *engine, uint64_t address, uint32_t size, void *user) {
  const mw_divide *d = user;
  mw_counter *c = d->counter;
  uint32_t dividend = 0, divisor = 0;
  (void)address;
  (void)size;
  c->reg_read(engine, d->dividend, &dividend);
  c->reg_read(engine, d->divisor, &divisor);
  if (d->is_signed != 0u) {
    dividend = (dividend >> 31) != 0u ? 0u - dividend : dividend;
    divisor = (divisor >> 31) != 0u ? 0u - divisor : divisor;
  }
  uint32_t quotient = divisor == 0u ? 0u : dividend / divisor;
  uint32_t cycles = d->zero_cycles;
  if (quotient != 0u) {
    uint32_t bits = 0;
    for (; quotient != 0u; quotient >>= 1) {
      ++bits;
    }
    cycles = d->offset + (bits + d->bits_per_cycle - 1u) / d->bits_per_cycle;
    cycles += d->is_signed != 0u ? d->signed_cycles : 0u;
    cycles = cycles < d->max_cycles ? cycles : d->max_cycles;
  }
  c->extra[c->layer] += cycles;
}
