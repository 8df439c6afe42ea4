/* What a flash with wait states and small caches costs: an exact LRU model of every line.
 *
 * Source for the STM32L4's shape: RM0432, section 3.3. The numbers are the board file's. */
#include "counter.h"

#define NONE UINT32_MAX

/* Cycles that reading flash read number `read` costs now. Only instructions are prefetched. */
static uint32_t one_read(mw_counter *c, uint32_t read, int is_data) {
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
uint32_t mw_read_flash(mw_counter *c, uint32_t from, uint32_t to, int is_data) {
  mw_cache *cache = is_data != 0 ? c->data : &c->icache;
  const uint32_t first_wanted = from >> c->read_shift;
  const uint32_t last_wanted = (to - 1u) >> c->read_shift;
  uint32_t cycles = 0;
  if (cache->again_first == first_wanted && cache->again_last == last_wanted) {
    return 0;
  }
  if (cache->ways == 0u) {
    for (uint32_t read = first_wanted; read <= last_wanted; ++read) {
      cycles += one_read(c, read, is_data);
    }
    return cycles;
  }
  const uint32_t begin = from >> cache->line_shift;
  const uint32_t last = (to - 1u) >> cache->line_shift;
  for (uint32_t line = begin; line <= last; ++line) {
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
        cycles += one_read(c, read, is_data);
      }
    }
  }
  /* Lines do not evict each other when there is only one, or when all of them were found. */
  cache->again_first = cycles == 0u || begin == last ? first_wanted : NONE;
  cache->again_last = last_wanted;
  return cycles;
}
