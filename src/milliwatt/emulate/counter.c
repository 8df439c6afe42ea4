/* Hooks that the emulator calls for each block, memory access and division: count, decide nothing.
 *
 * Built into a shared library at first use (counter.py). A Python callback here would cost a
 * hundred times more. What a block costs in cycles is worked out afterwards, from its disassembly. */
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

/* Cycles that reading flash read number `read` costs now. Only instructions are prefetched. */
static uint32_t read_flash(mw_counter *c, uint32_t read, int is_data) {
  uint32_t cycles = c->wait_states;
  if (c->prefetch != 0u && is_data == 0) {
    if (read == c->prefetched) {
      cycles = c->prefetch_hit;
    }
    c->prefetched = read + 1u;
  }
  return cycles;
}

/* The slot that holds `line`, after evicting the least recently used line of its set if need be. */
static uint32_t find_slot(mw_cache *cache, uint32_t line) {
  if (cache->slot_of[line] != 0u) {
    return cache->slot_of[line] - 1u;
  }
  const uint32_t first = (line & cache->set_mask) * cache->ways;
  uint32_t slot = first;
  for (uint32_t i = first; i < first + cache->ways; ++i) {
    if (cache->used[i] < cache->used[slot]) {
      slot = i;
    }
  }
  if (cache->line_of[slot] != NONE) {
    cache->slot_of[cache->line_of[slot]] = 0u;
  }
  cache->line_of[slot] = line;
  cache->valid[slot] = 0u;
  cache->slot_of[line] = (uint16_t)(slot + 1u);
  return slot;
}

/* Cycles lost reading flash bytes [from, to) (offsets into the flash) through their cache. */
static uint32_t fetch(mw_counter *c, uint32_t from, uint32_t to, int is_data) {
  mw_cache *cache = is_data != 0 ? c->data : &c->icache;
  uint32_t cycles = 0;
  if (cache->ways == 0u) {
    for (uint32_t read = from >> c->read_shift; read <= (to - 1u) >> c->read_shift; ++read) {
      cycles += read_flash(c, read, is_data);
    }
    return cycles;
  }
  const uint32_t last = (to - 1u) >> cache->line_shift;
  for (uint32_t line = from >> cache->line_shift; line <= last; ++line) {
    const uint32_t slot = find_slot(cache, line);
    cache->used[slot] = ++cache->clock;
    if (c->whole_line != 0u) {
      cycles += cache->valid[slot] == 0u ? c->wait_states : 0u;
      cache->valid[slot] = 1u;
      continue;
    }
    const uint32_t line_start = line << cache->line_shift;
    const uint32_t line_end = line_start + (1u << cache->line_shift);
    const uint32_t first_read = (from > line_start ? from : line_start) >> c->read_shift;
    const uint32_t last_read = ((to < line_end ? to : line_end) - 1u) >> c->read_shift;
    const uint32_t line_read = line_start >> c->read_shift;
    for (uint32_t read = first_read; read <= last_read; ++read) {
      const uint32_t bit = UINT32_C(1) << (read - line_read);
      if ((cache->valid[slot] & bit) == 0u) {
        cache->valid[slot] |= bit;
        cycles += read_flash(c, read, is_data);
      }
    }
  }
  return cycles;
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
    c->stalls[c->layer] += fetch(c, from, from + size, 0);
  }
}

void mw_on_access(void *engine, int type, uint64_t address64, int size, int64_t value, void *user) {
  mw_counter *c = user;
  const uint32_t address = (uint32_t)address64;
  const int in_flash = address - c->flash_base < c->flash_bytes;
  (void)value;
  if (address - c->ram_base >= c->ram_bytes) {
    const int is_write = type == UC_MEM_WRITE;
    if (in_flash == 0 && address - c->system_base >= c->system_bytes) {
      fault(c, engine, is_write ? MW_FAULT_WRITE : MW_FAULT_READ, address);
      return;
    }
    if (in_flash != 0 && is_write != 0) {
      fault(c, engine, MW_FAULT_READ_ONLY, address);
      return;
    }
  }
  if ((address & ((uint32_t)size - 1u)) != 0u) {
    if (c->strict != 0u) {
      fault(c, engine, MW_FAULT_UNALIGNED, address);
      return;
    }
    /* An odd word is byte, halfword, byte: two transfers more. Other cases are one more. */
    c->split[c->layer] += size > 2 && (address & 1u) != 0u ? 2u : 1u;
  }
  if (c->wait_states != 0u && in_flash != 0) {
    const uint32_t from = address - c->flash_base;
    c->stalls[c->layer] += fetch(c, from, from + (uint32_t)size, 1);
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
